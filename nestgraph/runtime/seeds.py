"""Seeds that every source of random numbers takes: whole numbers of 63 bits."""

from __future__ import annotations

import operator

from nestgraph.errors import InputError

LARGEST = 2**63 - 1


def checked_seed(seed: object) -> int:
    """Return a seed as a plain number.

    Args:
        seed: what was given; whole numbers of other libraries count as such.

    Raises:
        InputError: it is no whole number from 0 to 2⁶³ - 1.
    """
    try:
        number = operator.index(seed)  # type: ignore[arg-type]  # raises what is caught here
    except TypeError:
        number = -1
    if isinstance(seed, bool) or not 0 <= number <= LARGEST:
        said = f"`seed` (={seed!r}) must be a whole number from 0 to {LARGEST}"
        raise InputError("NG749", said, "give a smaller one, such as 0")
    return number
