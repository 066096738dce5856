"""`nestgraph stack`: a Hugging Face network reads a text once, some of its MLPs on clocks.

The loss of every token is taken before anything has learned from it, so that its mean is the
network's online code length of the text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nestgraph.errors import InputError
from nestgraph.rewriting.stacking import StackedLevel, layers_in
from nestgraph.training.hf import StackedModel, StackedState

WINDOWS = 8  # of the fastest level, read at once; the numbers don't depend on it
BYTES = 256
_LEVEL = re.compile(r"(?P<period>\d+):(?P<layers>\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*):(?P<rate>[^:]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Online:
    """What a network paid for what it has read.

    Attributes:
        tokens: predicted so far.
        nats: their sum.
        bytes: of the text that the tokens are of, the first token's included.
        moves: by each level, the fastest first.
    """

    tokens: int
    nats: float
    bytes: int
    moves: tuple[int, ...]

    @property
    def nats_per_token(self) -> float:
        """Mean loss."""
        return self.nats / max(1, self.tokens)

    @property
    def bits_per_byte(self) -> float:
        """Of the whole text."""
        return self.nats / max(1, self.bytes) / math.log(2)


def parse_level(text: str) -> StackedLevel:
    """Return the level that `PERIOD:LAYERS:RATE` means, such as `128:0-3,7:1e-4`.

    Raises:
        InputError: when it says something else.
    """
    found, hint = _LEVEL.fullmatch(text), "write it like `128:0-3:1e-4`: PERIOD:LAYERS:RATE"
    if found is None:
        raise InputError("NG763", f"`--level {text}` is no level", hint)
    try:
        rate = float(found["rate"])
    except ValueError:
        rate = math.nan
    if not 0 <= rate < math.inf:
        message = f"`--level {text}` has the rate `{found['rate']}`, which is no number from 0 on"
        raise InputError("NG763", message, hint)
    layers: list[int] = []
    for part in found["layers"].split(","):
        named = layers_in(part)
        if named is None:
            raise InputError("NG763", f"`--level {text}` has no layers `{part}`", hint)
        layers += named
    return StackedLevel(period=int(found["period"]), layers=tuple(layers), rate=rate)


def read_stacked(
    model: StackedModel,
    tokens: Tensor,
    size: int,
    tell: Callable[[Online], None] = lambda online: None,
    state: StackedState | None = None,
) -> tuple[Online, StackedState]:
    """Read tokens (time,), once and in order; return what it paid, and the state
    behind.

    Args:
        model: a network with its levels.
        tokens: at least two.
        size: bytes that they are of.
        tell: called behind every piece.
        state: of what was read before; None at the start.

    Raises:
        InputError: for fewer tokens than a level needs to tick once.
    """
    slow = model.levels[-1].period
    state = model.initial_state() if state is None else state
    before = state.position
    if before + len(tokens) <= slow:
        raise InputError(
            "NG705",
            f"the level of {slow} tokens never ticks: the text has {len(tokens)}"
            + (f", behind {before} that were read" if before else ""),
            "give a longer text, or the level a shorter period",
        )
    nats, step = 0.0, WINDOWS * model.window
    online = Online(tokens=0, nats=0.0, bytes=0, moves=())
    for begin in range(0, len(tokens) - 1, step):
        labels = tokens[begin + 1 : begin + step + 1]
        with torch.no_grad():
            answer = model(tokens[None, begin : begin + len(labels)], state)
        state = answer.state["stacked"]
        nats += F.cross_entropy(answer.logits[0].float(), labels, reduction="sum").item()
        if not math.isfinite(nats):
            raise InputError(
                "NG731", f"the loss became {nats} after {begin} tokens", "lower the levels' rates"
            )
        done = begin + len(labels)
        moves = tuple(
            (before + done - 1) // level.period - max(0, before - 1) // level.period
            for level in model.levels
        )
        share = round(size * (done + 1) / len(tokens))
        online = Online(tokens=done, nats=nats, bytes=share, moves=moves)
        tell(online)
    with torch.no_grad():  # the last token has no label here: it may come with the next text
        after: StackedState = model(tokens[None, -1:], state).state["stacked"]
    return online, after


def tokens_of(name: str | Path, model: StackedModel, text: bytes) -> Tensor:
    """Return a text as the network's own tokens; as bytes, where it knows 256 and has no tokenizer.

    Raises:
        InputError: when it has neither.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(name))
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        config: Any = model.network.config
        if config.vocab_size != BYTES:
            raise InputError(
                "NG763",
                f"`{name}` holds no tokenizer, and its vocabulary of {config.vocab_size} is not"
                f" that of bytes, {BYTES}",
                "save the tokenizer of the network beside it",
            ) from error
        return torch.tensor(list(text))
    found = tokenizer(text.decode("utf-8", errors="ignore"), add_special_tokens=False)["input_ids"]
    return torch.tensor(found)
