"""Values of a spec as text, where `nestgraph.display.describe` has no words of its own for them."""

from __future__ import annotations

from nestgraph.analysis.levels import period
from nestgraph.display.describe import coefficient_text, number_text
from nestgraph.language.system import Clock, Erase


def clock(value: Clock) -> str:
    """Return a clock by its name and what that means: `context, every 16 tokens`."""
    built_in = value.name in ("token", "step", "never")
    return value.name if built_in else f"{value.name}, {period(value)}"


def erase(value: Erase) -> str:
    """Return what is erased, with its own key and rate if there are any."""
    key = f" under {value.key}" if value.key is not None else ""
    rate = f", rate {coefficient_text(value.rate, None)}" if value.rate is not None else ""
    return f"{value.where}{key}{rate}"


def plain(value: object) -> str:
    """Return a value as the author would write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value)
    return str(value)


def count(value: float) -> str:
    """Return a number in three digits: `1.64 M`, `512`."""
    for unit, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def size(bytes_: int) -> str:
    """Return bytes in the units of 1024: `1.3 MiB`."""
    for unit, unit_size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if bytes_ >= unit_size:
            return f"{bytes_ / unit_size:.1f} {unit}"
    return f"{bytes_} B"
