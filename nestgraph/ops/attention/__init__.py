"""Softmax attention over events."""
