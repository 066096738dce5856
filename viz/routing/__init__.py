"""Places of boxes, and the ways of wires between them."""
