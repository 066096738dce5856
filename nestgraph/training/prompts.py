"""Prompts of one batch, which may end at different places.

A state has one position for all its rows. So rows that stand at one position are read together,
and others beside them, each group with a state of its own; their choices are made together. Rows
never mix, so that each goes on as it would alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from nestgraph.compiler.executor.trees import mapped
from nestgraph.errors import InputError
from nestgraph.runtime.tokens import GROUPS, PADDING
from nestgraph.training.states import rows_of

State: TypeAlias = dict[str, Any]
Prompt: TypeAlias = Tensor | Sequence[Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Rows that stand at one position.

    Attributes:
        rows: their places in the batch, (n,).
        tokens: what they read next, (n, time).
        state: behind what they have read; None at the start.
    """

    rows: Tensor
    tokens: Tensor
    state: State | None


def groups_of(prompt: Prompt, vocab: int, state: State | None = None) -> list[Group]:
    """Return the rows of a prompt, those of one length and one position together.

    Args:
        prompt: tokens (rows, time), with -1 behind rows that end earlier; (time,) for one row; or
            a list of rows.
        vocab: how many tokens the model knows.
        state: what an earlier answer left, of as many rows; None at the start.

    Raises:
        InputError: a row is empty or holds no tokens of the vocabulary (NG741), or the state is
            of another number of rows (NG737).
    """
    rows = [_row(one, vocab) for one in _listed(prompt)]
    if not rows:
        raise _empty("")
    found: dict[tuple[int, int], list[int]] = {}
    before = _places(state, len(rows))
    for row, tokens in enumerate(rows):
        if not len(tokens):
            raise _empty("" if len(rows) == 1 else f"row {row} of ")
        found.setdefault((before[row][0], len(tokens)), []).append(row)
    return [
        Group(
            rows=torch.tensor(members),
            tokens=torch.stack([rows[row] for row in members]),
            state=_state_of(state, index, [before[row][1] for row in members]),
        )
        for (index, _), members in found.items()
    ]


def joint(groups: Sequence[Group]) -> State:
    """Return one state of all groups: that of the only one, or all of them with their rows."""
    if len(groups) == 1:
        assert groups[0].state is not None, "it has read something"
        return groups[0].state
    return {GROUPS: [{"rows": group.rows, "state": group.state} for group in groups]}


def _listed(prompt: Prompt) -> list[Tensor]:
    if not isinstance(prompt, Tensor):
        return [torch.as_tensor(row) for row in prompt]
    if prompt.ndim not in (1, 2):
        raise InputError(
            "NG741",
            f"the prompt has the shape {tuple(prompt.shape)}",
            "give (rows, time), or (time,) for one row",
        )
    return list(prompt[None] if prompt.ndim == 1 else prompt)


def _row(row: Tensor, vocab: int) -> Tensor:
    """Return a row without the padding behind its end."""
    if row.ndim != 1:
        said = f"a row of the prompt has the shape {tuple(row.shape)}"
        raise InputError("NG741", said, "give tokens (time,) for each row")
    if not row.numel():
        return row.long()
    if row.is_floating_point() or row.is_complex() or row.dtype == torch.bool:
        raise InputError("NG741", f"the prompt holds {row.dtype}", "give whole numbers")
    row = row.long()
    real = (row != PADDING).nonzero()
    row = row[: int(real[-1]) + 1 if len(real) else 0]
    if len(row) and (wrong := (row < 0) | (row >= vocab)).any():
        said = f"the prompt holds token {int(row[wrong][0])}; the model knows 0 to {vocab - 1}"
        raise InputError("NG741", said)
    return row


def _empty(which: str) -> InputError:
    return InputError("NG741", f"{which}the prompt is empty", "begin with one token at least")


def _places(state: State | None, rows: int) -> list[tuple[int, int]]:
    """Return, for each row, the group of the state that it lies in, and its place there."""
    if state is None:
        return [(0, row) for row in range(rows)]
    held = {0: list(range(rows_of(state)))} if GROUPS not in state else {}
    held |= {i: one["rows"].tolist() for i, one in enumerate(state.get(GROUPS, ()))}
    places = {row: (i, at) for i, own in held.items() for at, row in enumerate(own)}
    if len(places) != rows:
        said = f"the state is of {len(places)} rows, the prompt has {rows}"
        raise InputError("NG737", said, "go on with each sequence from its own state")
    return [places[row] for row in range(rows)]


def _state_of(state: State | None, index: int, places: list[int]) -> State | None:
    """Return the rows at some places of one group of a state."""
    if state is None:
        return None
    whole: State = state[GROUPS][index]["state"] if GROUPS in state else state
    if places == list(range(rows_of(whole))):
        return whole
    chosen: State = mapped(lambda x: x[places] if x.ndim else x, whole)
    return chosen
