"""Specs: read, composed, named and shipped."""
