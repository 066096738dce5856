"""Texts with something hidden in them, far from the question: how they are made and learned."""
