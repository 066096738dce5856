"""Memories whose gradients are taken at an anchor: test-time training, Titans, Hope."""
