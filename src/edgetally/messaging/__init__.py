"""Messaging: what the world hears, how it is written, and how it gets there."""
