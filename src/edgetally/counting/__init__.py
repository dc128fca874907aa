"""From detections to counts: tracks, lines, zones, events and the ledger that keeps them."""
