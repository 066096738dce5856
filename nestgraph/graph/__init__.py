"""A system as a graph of blocks, memories and flows."""
