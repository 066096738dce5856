"""Pictures in a browser that are drawn anew when a file changes."""
