"""Tasks that come one after another: what is learned of each, and kept of those before."""
