"""What a run says at its end."""

from __future__ import annotations

import pytest

from nestgraph.language.spec import Spec
from nestgraph.training import compile
from nestgraph.training.report import duration, printable, sample


def test_a_sample_can_be_repeated(spec: Spec) -> None:
    module = compile(spec)

    assert sample(module, seed=1) == sample(module, seed=1)
    assert sample(module, seed=1) != sample(module, seed=2)


def test_text_of_a_model_cant_steer_a_terminal() -> None:
    text = b"a\x1b[2Jb\x07\r\n\tc\xff \xc3\xa9\xe2\x80\xae"

    assert printable(text) == "a�[2Jb��\n\tc� é�"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (9.96, "10.0 s"), (59.4, "59.4 s"), (125.2, "2 min 5 s")]
)
def test_durations_read_well(seconds: float, said: str) -> None:
    assert duration(seconds) == said
