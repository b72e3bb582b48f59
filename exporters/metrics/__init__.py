"""Metrics: the table of what they are, how they are read, and the ways that they leave."""
