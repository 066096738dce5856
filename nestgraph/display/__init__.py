"""Specs, graphs and diffs as text, HTML and in notebooks."""
