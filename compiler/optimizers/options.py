"""What a group of parameters may say, and what it may not: settings files hold words and typos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nestgraph.errors import InputError
from nestgraph.findings import listed
from nestgraph.schema.ranges import LARGEST

SORTS = ("embeddings", "head", "hidden_matrices", "vectors")
SWITCHES = ("maximize", "foreach", "linear_map", "stacked")
RATES = ("lr", "initial_lr")


def check_options(group: Mapping[str, Any]) -> None:
    """Refuse what a group says in vain; None of a kind is what the parameter's axes tell.

    Raises:
        InputError: a rate is no number or out of range, a switch is neither True nor False, a
            period is no whole number, a level no name, or a kind none that there is.
    """
    for key in RATES:
        if key in group:
            check_rate(key, group[key])
    for key in SWITCHES:
        if not isinstance(group.get(key), bool | None):
            raise InputError(
                "NG751", f"`{key}` (={group[key]!r}) must be True or False", _cure(group[key])
            )
    period, level, kind = group.get("period", 1), group.get("level", "step"), group.get("kind")
    if not isinstance(period, int) or isinstance(period, bool) or period < 1:
        raise InputError(
            "NG751", f"`period` (={period!r}) must be a whole number of steps, 1 or more"
        )
    if not isinstance(level, str):
        raise InputError("NG751", f"`level` (={level!r}) must be the name of a level")
    if kind is not None and kind not in SORTS:
        raise InputError("NG751", f"`kind` (={kind!r}) must be one of {listed(SORTS)}")


def check_rate(key: str, rate: object) -> None:
    """Refuse what is no learning rate; a tensor of one number is one.

    Raises:
        InputError: it is no number, or out of range.
    """
    if isinstance(rate, Tensor) and rate.numel() == 1:
        rate = rate.item()
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise InputError("NG751", f"`{key}` (={rate!r}) must be a number", _cure(rate))
    if not 0.0 <= rate <= LARGEST:
        raise InputError("NG751", f"`{key}` (={rate}) must be a number from 0 to {LARGEST:.3g}")


def _cure(value: object) -> str:
    return "write it without quotes" if isinstance(value, str) else ""
