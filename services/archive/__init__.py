"""Archives: a catalog's features and attributes in files. The contract and its formats side by side."""
