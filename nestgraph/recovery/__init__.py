"""Guesses at what an author meant: fixes, words of other tools, second readings."""
