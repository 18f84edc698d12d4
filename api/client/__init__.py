"""How the command line talks to a running service."""
