"""How a request is read."""
