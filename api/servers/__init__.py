"""The two HTTP servers: waitress in `lookalike up`, gunicorn in `lookalike api`."""
