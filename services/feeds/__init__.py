"""Lists, folders and lines of feeds, read into changes."""
