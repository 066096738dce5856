"""The view of clocks: ticks along a sequence."""
