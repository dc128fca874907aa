"""What training left: found, fetched and parsed, without MXNet."""
