"""`nestgraph generate`: a trained model goes on with a text, shown as it is written."""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import typer


def generate_text(run: Path, prompt: str, tokens: int, temperature: float, seed: int) -> None:
    """Prints the prompt and what the model adds to it."""
    import torch

    from nestgraph.training import load_run

    module = load_run(run)
    module.eval()
    start = torch.tensor(list(prompt.encode()), dtype=torch.long)
    generator = torch.Generator(module.device).manual_seed(seed)
    stream = module.stream(start, temperature=temperature, generator=generator)
    added = (int(sample.tokens[0]) for sample in itertools.islice(stream, tokens))
    typer.echo(prompt, nl=False)
    for piece in as_text(added):
        typer.echo(piece, nl=False)
    typer.echo()


def as_text(values: Iterable[int]) -> Iterator[str]:
    """Bytes as text that can't harm a terminal, each piece as soon as its characters are whole."""
    from nestgraph.training.report import printable

    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for value in values:
        yield printable(decoder.decode(bytes([value])).encode())
    yield printable(decoder.decode(b"", final=True).encode())
