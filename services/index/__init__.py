"""Vector indexes: the contract and its implementations."""
