"""What the loop costs on this device, beside the original sample's way and the bare engine."""
