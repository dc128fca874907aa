"""What is wrong with bytes that should have been a frame."""

from edgetally.errors import EdgetallyError


class WireError(EdgetallyError):
    """These bytes are no frame; whoever sent them is not understood any more."""
