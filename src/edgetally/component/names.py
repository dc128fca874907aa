"""What the components and their files are called."""

COUNTER = "io.edgetally.Counter"
MODEL = "io.edgetally.Model"

MODEL_LINK = f"../{MODEL}/current"
"""The bundle in use, from the counter's work folder: the same on each nucleus."""
