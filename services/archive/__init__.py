"""Archives: a catalog's features and attributes in files. The contract, and one module for each format."""
