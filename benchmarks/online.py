"""Reading on: texts that a model reads once, in order, and what its levels carry out of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

PIECE = 2048  # tokens given to the model at once; the numbers don't depend on it

State = Mapping[str, Any]


class Read(NamedTuple):
    """What came of reading.

    Attributes:
        bits: a byte, the mean of predictions that were each made before their byte was known.
        state: behind the last token.
    """

    bits: float
    state: State


def rows_of(text: bytes, rows: int, length: int) -> Tensor:
    """Return the first `rows` · (`length` + 1) bytes, as (rows, length + 1), each row its own
    part.
    """
    piece = torch.frombuffer(bytearray(text[: rows * (length + 1)]), dtype=torch.uint8)
    return piece.view(rows, length + 1).long()


def read(model: torch.nn.Module, tokens: Tensor, state: State | None = None) -> Read:
    """Read the tokens (rows, time + 1), with what the model's levels make of them."""
    nats = 0.0
    with torch.no_grad():
        for begin in range(0, tokens.shape[1] - 1, PIECE):
            labels = tokens[:, begin + 1 : begin + PIECE + 1]
            answer = model(tokens[:, begin : begin + labels.shape[1]], state)
            state = answer.state
            nats += F.cross_entropy(answer.logits.mT, labels, reduction="sum").item()
    assert state is not None
    return Read(nats / (tokens[:, 1:].numel() * math.log(2)), state)


def grafted(still: torch.nn.Module, moved: State, memories: Iterable[str]) -> State:
    """Return a first state of a model whose levels stand still, with some memories as they have
    become.

    Args:
        still: the model that will read with them.
        moved: a state of a model with the same memories.
        memories: their names, in every layer.
    """
    rows = len(next(iter(_weights(moved).values())))
    state: dict[str, Any] = dict(still.initial_state(rows))  # type: ignore[operator]
    names = set(memories)
    layers = {
        path: {
            name: part._replace(weights=moved["layers"][path][name].weights)
            if name in names
            else part
            for name, part in parts.items()
        }
        for path, parts in state["layers"].items()
    }
    return {**state, "layers": layers}


def _weights(state: State) -> dict[str, Tensor]:
    """Return the first matrix of every memory that moves."""
    return {
        f"{path}.{name}": part.weights[0]
        for path, parts in state["layers"].items()
        for name, part in parts.items()
        if hasattr(part, "weights")
    }
