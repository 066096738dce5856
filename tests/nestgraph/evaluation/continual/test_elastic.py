"""Elastic weight consolidation against its formula."""

from __future__ import annotations

import pytest
import torch
from streams import Jobs, rows_of

from nestgraph import training
from nestgraph.evaluation.continual.elastic import Elastic
from nestgraph.evaluation.task import Split


@pytest.fixture
def elastic(job: Jobs) -> Elastic:
    """Return a module that is held at nothing yet."""
    spec = job().spec
    return Elastic(training.compile(spec).model, spec, strength=3.0)


def squares(module: Elastic, part: int) -> dict[str, torch.Tensor]:
    """Return the mean over rows of the squares of the gradient of each."""
    rows = rows_of(part, Split.TRAIN, 1, 5)
    found = {name: torch.zeros_like(p) for name, p in module.named_parameters()}
    for number in range(5):
        module.zero_grad()
        logits = module(rows.tokens[number : number + 1]).logits[:, 1]
        torch.nn.functional.cross_entropy(logits, rows.targets[number : number + 1, 1]).backward()
        for name, parameter in module.named_parameters():
            if parameter.grad is not None:
                found[name] += parameter.grad.square() / 5
    module.zero_grad()
    return found


def test_the_pull_is_the_formula_over_the_tasks_so_far(elastic: Elastic) -> None:
    assert elastic.pull() == 0
    needed = squares(elastic, 0)
    elastic.hold(rows_of(0, Split.TRAIN, 1, 5))
    assert elastic.pull() == 0
    _shift(elastic)
    more = squares(elastic, 1)
    elastic.hold(rows_of(1, Split.TRAIN, 1, 5))
    place = {name: p.detach().clone() for name, p in elastic.named_parameters()}
    _shift(elastic)

    by_hand = sum(
        ((needed[name] + more[name]) * (p - place[name]).square()).sum().item()
        for name, p in elastic.named_parameters()
    )
    assert elastic.pull().item() == pytest.approx(1.5 * by_hand, rel=1e-4)


def test_the_loss_of_later_tasks_counts_the_pull(elastic: Elastic) -> None:
    rows = rows_of(0, Split.TRAIN, 2, 4)
    batch = (rows.tokens, rows.targets)
    elastic.log = lambda *_, **__: None  # type: ignore[method-assign]  # there is no Trainer
    plain = elastic.training_step(batch, 0).item()
    elastic.hold(rows)
    assert elastic.training_step(batch, 0).item() == pytest.approx(plain)
    _shift(elastic)
    loss = elastic.model.loss(*batch)[0].item()  # type: ignore[operator, union-attr]
    pull = elastic.pull().item()
    assert pull > 0
    assert elastic.training_step(batch, 0).item() == pytest.approx(loss + pull)


def _shift(module: Elastic) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
