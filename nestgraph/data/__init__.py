"""Text to train on: two collections that ship with the package, or the user's own files.

Data sets of rows ship too: `labelled` texts and images, bAbI's `stories`, `languages` in pairs.

Tokens are bytes, so that any file can be read and the vocabulary is always 256.
Nothing here imports PyTorch.
"""

from __future__ import annotations

from nestgraph.data.corpus import VOCAB, Corpus, load_corpus
from nestgraph.data.shipped import shipped_names

__all__ = ["VOCAB", "Corpus", "load_corpus", "shipped_names"]
