"""The nearest class mean: by hand, and near what was measured elsewhere."""

from __future__ import annotations

import pytest

from nestgraph.data.labelled import Labelled, Row
from nestgraph.evaluation.continual import nearest
from nestgraph.evaluation.continual.matrix import ContinualMatrix
from nestgraph.evaluation.task import Split


def labelled(train: list[tuple[bytes, int]], test: list[tuple[bytes, int]]) -> Labelled:
    parts = [
        tuple(Row(content=text, label=label) for text, label in rows) for rows in (train, test)
    ]
    return Labelled(
        name="by-hand",
        classes=("a", "b", "c"),
        groups=((0, 1), (2,)),
        train=parts[0],
        tune=(),
        test=parts[1],
    )


def test_a_row_is_of_the_class_whose_mean_is_nearest_among_those_that_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = [
        (b"my card is lost", 0),
        (b"a lost card", 0),
        (b"play some music", 1),
        (b"where is it", 2),
    ]
    test = [(b"lost card", 0), (b"some music please", 1), (b"my card", 2), (b"where", 2)]
    monkeypatch.setattr(nearest, "load_labelled", lambda name: labelled(train, test))

    found = nearest.scores("by-hand", 2, Split.TEST)

    # `my card` is nearest to the first class, `where` to the third once that has come.
    assert found == [[1.0, 0.0], [1.0, 0.5]]


def test_digits_reach_what_others_measured() -> None:
    pytest.importorskip("sklearn", reason="`nestgraph[eval]` is not installed")
    found = ContinualMatrix(scores=nearest.scores("digits", 5, Split.TEST), untrained=[0.0] * 5)
    assert 0.84 < found.accuracy() < 0.92
    assert found.forgetting() >= 0  # more classes to choose among


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "tasks", "value"),
    [("clinc150", 10, 0.8056), ("banking77", 7, 0.7727), ("dbpedia14", 7, 0.8396)],
)
def test_texts_reach_what_others_measured(name: str, tasks: int, value: float) -> None:
    found = nearest.scores(name, tasks, Split.TEST)[-1]
    assert sum(found) / tasks == pytest.approx(value, abs=0.03)
