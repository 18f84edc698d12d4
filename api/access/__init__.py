"""Who may come in: keys, scopes and rates."""
