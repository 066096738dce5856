"""Two specs compared."""
