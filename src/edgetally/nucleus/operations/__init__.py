"""What components may ask for: an operation a function, by its name."""
