"""A text, and how it falls into training and validation: by position, never at random."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nestgraph.data.files import read_path
from nestgraph.data.shipped import read_shipped, shipped_names
from nestgraph.errors import InputError

VOCAB = 256  # a token is a byte
TRAIN_SHARE = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """One text as bytes.

    Attributes:
        name: what the user asked for.
        path: where it lies, as an absolute path; the name of a shipped one.
        text: all of it.
        sha256: of the text.
        files: how many files it was read from.
        left_out: how many files of a folder were not text.
        parts: the size and the sha256 of each file of a folder, by its path in it.
    """

    name: str
    path: str
    text: bytes
    sha256: str
    files: int = 1
    left_out: int = 0
    parts: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def cut(self) -> int:
        """Return where validation begins: after the first nine tenths."""
        return int(len(self.text) * TRAIN_SHARE)

    @property
    def train(self) -> bytes:
        """The first 90 %."""
        return self.text[: self.cut]

    @property
    def validation(self) -> bytes:
        """The last 10 %."""
        return self.text[self.cut :]

    def require(self, context: int) -> None:
        """Make sure that there is a whole training window and something to validate on.

        Raises:
            InputError: when the text is too short.
        """
        enough = len(self.train) > context and len(self.validation) > 1
        if not enough:
            raise InputError(
                "NG702",
                f"`{self.name}` holds {_bytes(len(self.text))}: 90% of it trains, which must be"
                f" more than the context of {context} tokens (one token is one byte), and at"
                " least 2 bytes must remain for validation",
                "give a longer text, or set a smaller `training.context`",
            )


def load_corpus(name: str, beside: Path | None = None) -> Corpus:
    """Return the text of that name: a shipped one, else a file or a folder.

    `./shakespeare` reads a file of that name where `shakespeare` would mean the shipped text.

    Args:
        name: a shipped name, or a path.
        beside: the folder that a path is seen from; the working directory if None.

    Raises:
        InputError: when there is no such text, or it can't be read, or it is empty.
    """
    if name in shipped_names():
        text = read_shipped(name)
        return Corpus(name=name, path=name, text=text, sha256=hashlib.sha256(text).hexdigest())
    seen = name if beside is None else str(beside / name)
    found = read_path(seen)
    if not found.text:
        raise InputError("NG702", f"`{seen}` holds no text", "give a file or folder with some")
    return Corpus(
        name=seen,
        path=str(Path(seen).resolve()),
        text=found.text,
        sha256=hashlib.sha256(found.text).hexdigest(),
        files=found.files,
        left_out=found.left_out,
        parts=found.parts,
    )


def _bytes(count: int) -> str:
    return f"{count} byte" if count == 1 else f"{count:,} bytes"
