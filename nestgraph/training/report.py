"""What a run says, above all at its end."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from nestgraph.data import Corpus
from nestgraph.training.checkpoint import BEST, LAST
from nestgraph.training.module import NestModule

if TYPE_CHECKING:
    from nestgraph.language.spec import Spec

SAMPLE_TOKENS = 400
SAMPLE_TEMPERATURE = 0.8
BEYOND = 255  # stands for tokens that are no byte, and is none of UTF-8
UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def opening(spec: Spec, corpus: Corpus, folder: Path) -> str:
    """Return the first words of a run."""
    training = spec.system.training
    counted = f", {corpus.files} files" if corpus.files > 1 else ""
    left_out = f" ({corpus.left_out} more are not text)" if corpus.left_out else ""
    return (
        f"{spec.system.name}: {training.steps} steps of {training.batch} x {training.context} bytes"
        f" from {corpus.name}{counted}{left_out}, in {folder}"
    )


def at_step(step: int, steps: int) -> str:
    """Return `step  250/2000`, as wide at every step."""
    return f"step {step:>{len(str(steps))}}/{steps}"


def sample(module: NestModule, *, seed: int) -> str:
    """Return some text of the model's own."""
    generator = torch.Generator(module.device).manual_seed(seed)
    start = torch.tensor([ord("\n")])
    tokens = module.generate(
        start, SAMPLE_TOKENS, temperature=SAMPLE_TEMPERATURE, generator=generator
    )
    return printable(bytes(min(token, BEYOND) for token in tokens[0].tolist()))


def printable(text: bytes) -> str:
    """Return bytes as text that can't harm a terminal."""
    letters = text.decode("utf-8", errors="replace")
    return "".join(c if c.isprintable() or c in "\n\t" else UNKNOWN for c in letters)


def summary(
    *, folder: Path, step: int, taken: int, seconds: float, loss: float, text: str, picture: str
) -> str:
    """Return the last words of a finished run."""
    quoted = "\n".join(f"    {line}" for line in text.strip("\n").split("\n"))
    return f"""\
{taken} steps in {duration(seconds)}
validation loss {loss:.4f} nats = {loss / math.log(2):.4f} bits per byte

it writes
{quoted}

levels      {picture}
checkpoint  {folder / LAST}; the best one is {folder / BEST}
write more  nestgraph generate {folder} "ROMEO:"
go on       nestgraph train --resume {folder} --max-steps {2 * step}"""


def interrupted(*, folder: Path, step: int, steps: int, saved: bool) -> str:
    """Return the last words of a run that was stopped."""
    if not (folder / LAST).is_file():
        return f"stopped at step {step} of {steps}; nothing was saved yet"
    what = "everything is saved" if saved else f"saved is what {folder / LAST} holds"
    return f"""\
stopped at step {step} of {steps}; {what}
go on with  nestgraph train --resume {folder}"""


def duration(seconds: float) -> str:
    """Return `2 min 5 s`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    return f"{whole // 60} min {whole % 60} s"
