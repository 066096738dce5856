"""From scheduled IR to lines of Python."""
