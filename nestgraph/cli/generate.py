"""`nestgraph generate`: a trained model goes on with a text, shown as it is written."""

from __future__ import annotations

import codecs
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nestgraph.cli.failures import require_text
from nestgraph.cli.saying import say
from nestgraph.errors import InputError

if TYPE_CHECKING:
    from nestgraph.training.sampling import Sample


def generate_text(
    run: Path,
    prompt: str,
    tokens: int,
    temperature: float,
    seed: int,
    *,
    state: Path | None = None,
    learn: bool = False,
) -> None:
    """Print the prompt and what the model adds to it.

    Args:
        run: a run folder or a checkpoint.
        prompt: the text to go on from; its tokens are its bytes, as the shell gave them.
        tokens: how many to add.
        temperature: 0 takes the likeliest.
        seed: of the draws.
        state: a file with what the model remembers of earlier texts.
        learn: whether to write back what it remembers afterwards; a new file if there is none.

    Raises:
        InputError: for a state that isn't this model's, before anything is written.
    """
    require_text(path for path in (run, state) if path is not None)
    from nestgraph.training.lock import sole_writer

    if not learn:
        return _generate(run, prompt, tokens, temperature, seed, state, learn=False)
    if state is None:
        raise InputError("NG741", "`--learn` needs a file", "add --state FILE")
    with sole_writer(state):  # from before it is read: nothing that others learn is lost
        _generate(run, prompt, tokens, temperature, seed, state, learn=True)


def _generate(
    run: Path,
    prompt: str,
    tokens: int,
    temperature: float,
    seed: int,
    state: Path | None,
    *,
    learn: bool,
) -> None:
    import torch

    from nestgraph.training import load_run, states

    module = load_run(run)
    module.eval()
    begun = state is not None and (state.exists() or not learn)
    before = states.load_state(state, module) if begun and state is not None else None
    given = os.fsencode(prompt)
    start = torch.tensor(list(given), dtype=torch.long)
    generator = torch.Generator(module.device).manual_seed(seed)
    stream = module.stream(start, temperature=temperature, generator=generator, state=before)
    last: list[Sample] = []

    def added() -> Iterator[int]:
        for sample in itertools.islice(stream, tokens):
            last[:] = [sample]
            yield int(sample.tokens[0])

    for piece in as_text(itertools.chain(given, added())):
        say(piece, nl=False)
    say()
    if learn and state is not None:
        with torch.no_grad():
            after = module(last[0].tokens[:, None], last[0].state).state
        states.save_state(state, module, after)


def as_text(values: Iterable[int]) -> Iterator[str]:
    """Yield tokens as text that can't harm a terminal, each piece as soon as its characters are
    whole.

    A token that is no byte, of a vocabulary above 256, shows as a sign.
    """
    from nestgraph.training.report import BEYOND, printable

    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for value in values:
        yield printable(decoder.decode(bytes([min(value, BEYOND)])).encode())
    yield printable(decoder.decode(b"", final=True).encode())
