"""Catalogs: what they hold, how changes get in, and what is asked of them."""
