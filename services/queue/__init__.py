"""The queue: what API and workers tell Celery, and the Valkey that carries it on one machine."""
