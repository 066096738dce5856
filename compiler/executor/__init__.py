"""Models that run emitted code: whole sequences, pieces, and online memories between ticks."""
