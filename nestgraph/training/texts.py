"""The text that a run learns from: where it lies, and whether it is the one that it began with.

A name in a spec is seen from the file that says it, one of the command line or of Python from the
working folder. From then on the run says it as an absolute path, and its checkpoints hold the size
and the sha256 of every file, so that it is found from any folder and told from another text.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nestgraph.data import VOCAB, Corpus, load_corpus, shipped_names
from nestgraph.errors import InputError, InputWarning
from nestgraph.language.models import model_of, require_next_tokens
from nestgraph.text.settings import seen_from
from nestgraph.training.options import DATA, with_settings

if TYPE_CHECKING:
    from nestgraph.language.spec import Spec

ENTRY = "text"  # of a checkpoint


@dataclass(frozen=True, kw_only=True, slots=True)
class Remembered:
    """A text as a checkpoint knows it.

    Attributes:
        path: absolute, or the name of a shipped text.
        size: in bytes.
        sha256: of all of it.
        files: the size and the sha256 of each file of a folder, by its path in it.
    """

    path: str
    size: int
    sha256: str
    files: Mapping[str, tuple[int, str]]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Remembered | None:
        """Return the text of a checkpoint; None for one of 0.1.0, which didn't say."""
        entry = content.get(ENTRY)
        if not isinstance(entry, dict):
            return None
        return cls(**{**entry, "files": {name: tuple(one) for name, one in entry["files"].items()}})

    def difference(self, corpus: Corpus) -> str:
        """Return what tells a text from this one; empty if nothing does."""
        if corpus.sha256 == self.sha256:
            return ""
        for name in sorted({*self.files, *corpus.parts}):
            before, now = self.files.get(name), corpus.parts.get(name)
            if before is None or now is None:
                return f"`{name}` is new" if before is None else f"`{name}` is gone"
            if before != now:
                return f"`{name}` {_changed(before[0], now[0])}"
        return f"it {_changed(self.size, len(corpus.text))}"


def remembered(corpus: Corpus) -> dict[str, Any]:
    """Return a text as plain values, for the checkpoint's entry."""
    return {
        "path": corpus.path,
        "size": len(corpus.text),
        "sha256": corpus.sha256,
        "files": {name: list(one) for name, one in corpus.parts.items()},
    }


def require_known(spec: Spec, corpus: Corpus) -> None:
    """Make sure that a text is made of what a model reads, and answers with.

    Raises:
        InputError: it holds tokens that the model doesn't know (NG704), or the model answers with
            other classes (NG736).
    """
    require_next_tokens(spec.system)
    vocab = model_of(spec.system).vocab
    if (top := max(corpus.text)) >= vocab:
        raise InputError(
            "NG704",
            f"`{corpus.name}` holds byte {top}, but the model knows {vocab} tokens",
            f"set `model.embed.vocab` to {VOCAB}",
        )


def named_anew(spec: Spec | None, data: str | None) -> bool:
    """Return whether somebody has named a text beside the run that is gone on with."""
    return data is not None or (spec is not None and DATA in spec.overrides)


def text_of_run(
    spec: Spec, content: Mapping[str, Any] | None, *, anew: bool, same: bool = False
) -> tuple[Spec, Corpus]:
    """Return the text of a run, and its spec, which says it as an absolute path from now on.

    Args:
        spec: what to train.
        content: of the checkpoint that is gone on from, if one is.
        anew: whether the text of a resumed run was named anew.
        same: whether no other text will do: one that is read once, in order, is half read.

    Raises:
        InputError: when there is no such text, it isn't where the run knows it, or it has another
            length than the run began with, which makes other batches.
    """
    before = Remembered.of(content) if content is not None else None
    if before is None or anew:
        name = spec.system.training.data
        resumed = content is not None  # 0.1.0 saw every name from the working folder
        corpus = load_corpus(name, None if resumed else _folder_of(spec))
    else:
        corpus = _load_again(before)
    if before is not None and (what := before.difference(corpus)):
        said = f"`{corpus.name}` is not the text that the run began with: {what}"
        if same:
            raise InputError("NG707", said, "go on with that text, or read this one in a new run")
        if len(corpus.text) != before.size and not anew:
            hint = "put the old one back, or name this one by --data to go on with other batches"
            raise InputError("NG707", f"{said}, so its batches would be others", hint)
        warnings.warn(InputWarning("NG707", said), stacklevel=2)
    if spec.system.training.data == corpus.path:
        return spec, corpus
    return with_settings(spec, {DATA: json.dumps(corpus.path)}), corpus


def _folder_of(spec: Spec) -> Path | None:
    """Return where the name of the text is seen from; None for the working folder."""
    span = spec.system.training.spans.get("data")
    if span is None or DATA in spec.overrides or span.file in spec.shipped:
        return None
    file = seen_from(span)
    return None if file is None else Path(file).parent


def _load_again(before: Remembered) -> Corpus:
    if before.path not in shipped_names() and not Path(before.path).exists():
        raise InputError(
            "NG706",
            f"the text that the run learns from, `{before.path}`, isn't there any more",
            "put it back, or say by --data where it is now",
        )
    return load_corpus(before.path)


def _changed(before: int, now: int) -> str:
    if before == now:
        return "has other bytes, as its sha256 tells"
    return f"had {before:,} bytes, and has {now:,}"
