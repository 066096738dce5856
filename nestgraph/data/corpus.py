"""A text, and how it falls into training and validation: by position, never at random."""

from __future__ import annotations

from dataclasses import dataclass

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
        text: all of it.
        files: how many files it was read from.
        left_out: how many files of a folder were not text.
    """

    name: str
    text: bytes
    files: int = 1
    left_out: int = 0

    @property
    def cut(self) -> int:
        """Where validation begins: after the first nine tenths."""
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
        """Makes sure that there is a whole training window and something to validate on.

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


def load_corpus(name: str) -> Corpus:
    """The text of that name: a shipped one, else a file or a folder.

    `./shakespeare` reads a file of that name where `shakespeare` would mean the shipped text.

    Args:
        name: a shipped name, or a path relative to the working directory.

    Raises:
        InputError: when there is no such text, or it can't be read, or it is empty.
    """
    if name in shipped_names():
        return Corpus(name=name, text=read_shipped(name))
    found = read_path(name)
    if not found.text:
        raise InputError("NG702", f"`{name}` holds no text", "give a file or folder with some")
    return Corpus(name=name, text=found.text, files=found.files, left_out=found.left_out)


def _bytes(count: int) -> str:
    return f"{count} byte" if count == 1 else f"{count:,} bytes"
