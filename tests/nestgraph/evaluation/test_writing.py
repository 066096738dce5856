"""Metrics of what a model writes by itself: chrF, against values by hand and a model that knows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torchmetrics.text import CHRFScore

from nestgraph import training
from nestgraph.errors import InputError
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.scoring import METRICS, score
from nestgraph.evaluation.task import Batch, Split
from nestgraph.language.spec import load
from nestgraph.runtime.labels import IGNORED
from nestgraph.runtime.output import Output

CHRF = METRICS["chrf"]


def asked(*pairs: tuple[bytes, bytes]) -> Batch:
    """Return rows (what is read, what is to be written), all read parts of one length."""
    width = max(len(read) + len(line) for read, line in pairs)
    tokens, targets = torch.full((len(pairs), width), -1), torch.full((len(pairs), width), IGNORED)
    for number, (read, line) in enumerate(pairs):
        whole = [*read, *line[:-1]]
        tokens[number, : len(whole)] = torch.tensor(whole)
        targets[number, len(read) - 1 : len(whole)] = torch.tensor(list(line))
    return Batch(tokens=tokens, targets=targets)


class Parrot:
    """Writes one line after whatever it reads, byte by byte; its state is how far it is."""

    def __init__(self, line: bytes) -> None:
        self.line = line

    def __call__(self, tokens: torch.Tensor, state: dict[str, Any] | None = None) -> Output:
        at = 0 if state is None else state["at"] + 1
        byte = self.line[min(at, len(self.line) - 1)]
        logits = torch.zeros(*tokens.shape, 300)
        logits[..., byte] = 1
        return Output(logits, {"at": at})


def of(line: bytes, batch: Batch) -> float:
    found = score(Parrot(line), lambda *_: batch, CHRF, split=Split.TEST, seed=0, rows=1)
    return found.mean


def test_chrf_is_the_mean_over_rows_of_what_is_written_up_to_the_end_of_the_line() -> None:
    wanted = (b"he went to the house\n", b"a fish\n")
    batch = asked((b"xx|", wanted[0]), (b"yy|", wanted[1]))
    said = b"he goes to the house\nand more"

    metric = CHRFScore(n_word_order=0)
    by_hand = [
        metric(["he goes to the house"], [[line.decode().strip()]]).item() for line in wanted
    ]
    metric.reset()
    assert of(said, batch) == pytest.approx(sum(by_hand) / 2, abs=1e-6)
    assert of(wanted[0], asked((b"xx|", wanted[0]))) == pytest.approx(1.0)
    assert of(b"\n", batch) == 0.0


def test_a_token_that_is_no_byte_ends_what_is_written() -> None:
    line = [ord("a"), ord(" "), 299, ord("x")]
    batch = asked((b"q|", b"a fish\n"))
    found = CHRF.judge(batch, torch.tensor([[IGNORED, *line, *[10] * 3]]))
    cut = CHRF.judge(batch, torch.tensor([[IGNORED, *line[:2], *[10] * 5]]))
    assert found.values.tolist() == cut.values.tolist()
    assert 0 < found.values.item() < 1


def test_what_is_written_does_not_depend_on_the_answers() -> None:
    module = training.compile(load("deltanet-tiny", {"vars.depth": 1, "vars.width": 16}))
    one = asked((b"abc|", b"first answer\n"), (b"xyz|", b"another answer\n"))
    other = Batch(tokens=one.tokens.clone(), targets=one.targets)
    other.tokens[:, 4:] = torch.where(other.tokens[:, 4:] < 0, -1, 65)

    assert of_module(module, one) == of_module(module, other)


def of_module(module: Any, batch: Batch) -> float:
    found = score(module, lambda *_: batch, CHRF, split=Split.TEST, seed=0, rows=1)
    return found.mean


def test_a_model_that_writes_no_numbers_is_told() -> None:
    def broken(tokens: torch.Tensor, state: object = None) -> Output:
        return Output(torch.full((*tokens.shape, 300), torch.nan), {})

    batch = asked((b"q|", b"a fish\n"))
    with pytest.raises(InputError, match="NG742"):
        score(broken, lambda *_: batch, CHRF, split=Split.TEST, seed=0, rows=1)


def test_translations_are_asked_behind_the_separator_at_one_place() -> None:
    task = find_task("languages:S=40,E=30,tasks=2")
    assert list(task.parts) == ["kalamang", "arta"]
    for draw in task.parts.values():
        batch = draw(Split.TEST, 1, 12)
        assert batch.tokens[:, 40].unique().tolist() == [256]
        assert (batch.targets[:, :40] == IGNORED).all()
        for tokens, targets in zip(batch.tokens.tolist(), batch.targets.tolist(), strict=True):
            answer = [target for target in targets if target != IGNORED]
            assert answer[-1] == ord("\n")
            assert [token for token in tokens[41:] if token >= 0] == answer[:-1]
