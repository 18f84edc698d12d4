"""What people and programs talk to: the HTTP API and the command line."""
