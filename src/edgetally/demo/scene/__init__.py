"""Rendered overhead scenes of a stock room, with every box and its track known."""
