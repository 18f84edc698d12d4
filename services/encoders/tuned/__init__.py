"""Tuned features: several layers and the colors of a picture, in few numbers."""
