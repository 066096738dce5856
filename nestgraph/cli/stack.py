"""`nestgraph stack`: reads a text with the MLPs of a Hugging Face network on clocks."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from nestgraph.training.stacked_stream import Online


def stack_network(
    network: str, levels: list[str], data: str, max_bytes: int | None, *, frozen: bool
) -> None:
    """Prints what the network pays for the text, online.

    Args:
        network: name or local folder.
        levels: each PERIOD:LAYERS:RATE.
        data: the text's name or path.
        max_bytes: how much of it to read; all if None.
        frozen: whether to set the rates to 0, which is the network itself.

    Raises:
        InputError: for bad levels, networks or texts.
    """
    from nestgraph.data import load_corpus
    from nestgraph.training.hf import StackedModel
    from nestgraph.training.stacked_stream import parse_level, read_stacked, tokens_of

    parsed = [parse_level(level) for level in levels]
    if frozen:
        parsed = [dataclasses.replace(level, rate=0.0) for level in parsed]
    text = load_corpus(data).text[:max_bytes]
    model = StackedModel.load(network, parsed)
    tokens = tokens_of(network, model, text)

    def tell(online: Online) -> None:
        typer.echo(f"tokens {online.tokens}  online {online.nats_per_token:.4f} nats per token")

    online = read_stacked(model, tokens, len(text), tell)
    for level, moves in zip(model.levels, online.moves, strict=True):
        layers = ", ".join(map(str, level.layers))
        typer.echo(f"every {level.period} tokens, layers {layers}: {moves} moves")
    typer.echo(
        f"online  {online.bits_per_byte:.4f} bits per byte over {online.tokens} tokens"
        f" of {len(text)} bytes{', frozen' if frozen else ''}"
    )
