"""The head of a model."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.checks.registry import Finding, system_rule
from nestgraph.language.system import System


@system_rule("NG353")
def a_tied_head_answers_with_the_vocabulary(system: System) -> Iterator[Finding]:
    """Check that a head tied to the embedding has a row for each token, and no other."""
    model = system.model
    if model is None or not model.tie_head or model.classes == model.vocab:
        return
    yield Finding(
        message=f"`out: {model.classes}` can't be scored by the embedding table of `tie`, which has"
        f" {model.vocab} rows",
        hint="leave `tie` out, so that the head has a matrix of its own, or leave `out` out",
        span=model.spans.get("head.out") or model.span,
    )
