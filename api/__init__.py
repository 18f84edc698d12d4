"""What people and programs talk to: the command line, and later the HTTP API."""
