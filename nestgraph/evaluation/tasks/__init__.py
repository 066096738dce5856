"""The tasks themselves: each module registers some, and all modules here are read."""
