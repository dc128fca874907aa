"""The demonstration: a rendered stock room, the network trained on it, the demo's run."""
