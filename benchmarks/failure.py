"""What stops a benchmark that can't go on."""

from __future__ import annotations


class BenchmarkError(Exception):
    """Raised when a training failed, or an option or the data makes no sense."""


class Diverged(BenchmarkError):
    """Raised when a training ended early, since its loss or its gradients were no numbers."""
