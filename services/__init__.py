"""The domain of Lookalike: catalogs of products and the geometry of their looks. Knows nothing of HTTP or Celery."""
