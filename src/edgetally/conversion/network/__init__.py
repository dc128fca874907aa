"""The cut from a trained graph to the graph a device runs, and its settings."""
