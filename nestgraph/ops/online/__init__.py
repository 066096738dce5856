"""Memories that learn from the model's own loss while it reads."""
