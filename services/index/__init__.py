"""Vector indexes: the contract and its implementations side by side."""
