"""Loops over positions: scans, and segments between ticks."""
