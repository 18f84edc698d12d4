"""What the command line asks a service with."""
