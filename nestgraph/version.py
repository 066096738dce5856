"""The version of nestgraph."""

__version__ = "0.1.0"
