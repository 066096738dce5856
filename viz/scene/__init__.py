"""Shapes of a picture, their sizes, colours and texts."""
