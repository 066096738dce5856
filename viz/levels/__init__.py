"""The view of levels: memories by how often they move."""
