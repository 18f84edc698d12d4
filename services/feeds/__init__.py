"""Reading product sources: folders and lists on a disk, and the JSON of changes."""
