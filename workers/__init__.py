"""The Celery workers; they come with the service."""
