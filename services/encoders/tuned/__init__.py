"""Tuned features: several layers and color, in few numbers."""
