"""States of such memories at every token of a segment."""
