"""Requests to untrusted servers: fetching images from URLs, guarded against SSRF."""
