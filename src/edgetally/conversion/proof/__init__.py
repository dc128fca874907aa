"""Everything that was made of a network, run beside the network that was trained."""
