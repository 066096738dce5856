"""Texts of specs: YAML with places, files, settings from outside."""
