"""From scheduled IR to Python source, and from source to a running module."""
