"""Requests to servers of strangers: URLs of images, opened with care."""
