"""Linear memories with one rate and one retention a head: decay, delta rule, chunk by chunk."""
