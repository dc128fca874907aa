"""Components on a device: their files, their environment, their processes."""
