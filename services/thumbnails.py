"""The sizes of thumbnails."""

SIDES = (64, 160, 320, 640)
"""Pixels of the longer side that a thumbnail may have."""
THUMBNAIL_SIDE = 320
"""That of those for which no size is asked."""
