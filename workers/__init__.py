"""The Celery workers: they wake up, claim changes from the ledger, apply them to catalogs and record the outcomes."""
