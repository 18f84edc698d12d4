"""What a catalog's vectors tell about it. Pure: arrays in, figures out; nothing here knows an index or a catalog."""
