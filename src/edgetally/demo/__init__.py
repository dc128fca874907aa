"""The demonstration: a rendered stock room, the network trained on it, the demo's run."""

CLASSES = ("blue box", "yellow box")
"""The demo model's classes, by class id."""
