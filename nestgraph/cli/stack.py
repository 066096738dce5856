"""`nestgraph stack`: reads a text with the MLPs of a Hugging Face network on clocks."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from nestgraph.cli.opening import settings
from nestgraph.cli.saying import say
from nestgraph.errors import NO_SOURCES, InputError, SpecError, render

if TYPE_CHECKING:
    from nestgraph.rewriting.stacking import Stacking
    from nestgraph.training.stacked_stream import Online

FILE_ENDINGS = (".yaml", ".yml")


def stack_network(
    network: str,
    levels: list[str],
    data: str,
    max_bytes: int | None,
    changes: list[str],
    *,
    frozen: bool,
    state: Path | None = None,
    learn: bool = False,
) -> None:
    """Print what the network pays for the text, online.

    Args:
        network: name or local folder, or a file of clocks that names one.
        levels: each PERIOD:LAYERS:RATE; none beside a file.
        data: the text's name or path.
        max_bytes: how much of it to read; all if None.
        changes: PATH=VALUE, of the file.
        frozen: whether to set the rates to 0, which is the network itself.
        state: a file with what it remembers of earlier texts.
        learn: whether to write back what it remembers afterwards; a new file if there is none.

    Raises:
        SpecError: for bad files, levels, networks, texts or states, before anything is written.
    """
    from nestgraph.training.lock import sole_writer

    if learn and state is None:
        raise InputError("NG741", "`--learn` needs a file", "add --state FILE")
    with sole_writer(state) if learn and state is not None else nullcontext():
        _stack(_asked(network, levels, changes), data, max_bytes, state, frozen=frozen, learn=learn)


def _stack(
    asked: Stacking,
    data: str,
    max_bytes: int | None,
    state: Path | None,
    *,
    frozen: bool,
    learn: bool,
) -> None:
    from nestgraph.data import load_corpus
    from nestgraph.training.hf import StackedModel
    from nestgraph.training.stacked_states import load_stacked, save_stacked
    from nestgraph.training.stacked_stream import read_stacked, tokens_of

    parsed = asked.levels
    if frozen:
        parsed = tuple(dataclasses.replace(level, rate=0.0) for level in parsed)
    text = load_corpus(data).text[:max_bytes]
    try:
        model = StackedModel.load(asked.network, parsed)
    except SpecError as error:
        raise SpecError(error.diagnostics, asked.sources) from error
    begun = state is not None and (state.exists() or not learn)
    before = load_stacked(state, model) if begun and state is not None else None
    tokens = tokens_of(asked.network, model, text)

    def tell(online: Online) -> None:
        say(f"tokens {online.tokens}  online {online.nats_per_token:.4f} nats per token")

    online, after = read_stacked(model, tokens, len(text), tell, before)
    for level, moves in zip(model.levels, online.moves, strict=True):
        layers = ", ".join(map(str, level.layers))
        say(f"every {level.period} tokens, layers {layers}: {moves} moves")
    say(
        f"online  {online.bits_per_byte:.4f} bits per byte over {online.tokens} tokens"
        f" of {len(text)} bytes{', frozen' if frozen else ''}"
    )
    if learn and state is not None:
        save_stacked(state, model, after)


def _asked(network: str, levels: list[str], changes: list[str]) -> Stacking:
    """Return the network and its levels: those of a file of clocks, or those of the options."""
    from nestgraph.rewriting.stacking import Stacking, load_stacking
    from nestgraph.training.stacked_stream import parse_level

    if network.endswith(FILE_ENDINGS):
        if levels:
            hint = f"change `{network}`, or give the network itself"
            raise InputError(
                "NG763", f"`--level` stands beside `{network}`, which has levels", hint
            )
        asked = load_stacking(network, settings(changes))
        for warning in asked.warnings:
            say(render(warning, asked.sources), err=True)
        return asked
    if changes:
        hint = "give a file of clocks, or other `--level`s"
        raise InputError("NG763", f"`--set {changes[0]}` changes no file", hint)
    parsed = tuple(parse_level(level) for level in levels)
    return Stacking(network=network, levels=parsed, sources=NO_SOURCES)
