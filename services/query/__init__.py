"""The query language: filters over attributes."""
