"""Training memory of the mixers over a long sequence: linear in its length, and small."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.memory import peak_bytes
from benchmarks.steps import Size, Step
from benchmarks.suites import attention_spans, diagonal_delta, gated_deltanet, selective_scan

RWKV_7, KDA, GLA = diagonal_delta.RULES
MIXERS: dict[str, Callable[[Size], Step]] = {
    "gated-deltanet": gated_deltanet.delta_step,
    "rwkv-7": lambda size: diagonal_delta.step(size, RWKV_7, diagonal_delta.chunked),
    "kda": lambda size: diagonal_delta.step(size, KDA, diagonal_delta.chunked),
    "gla": lambda size: diagonal_delta.step(size, GLA, diagonal_delta.chunked),
    "selective scan": lambda size: selective_scan.step(size, selective_scan.scan),
    "window": lambda size: attention_spans.step(size, "window", 64, attention_spans.spans),
    "period": lambda size: attention_spans.step(size, "period", 64, attention_spans.spans),
}
GIB = 2**30


@pytest.mark.parametrize("name", MIXERS)
def test_memory_grows_no_faster_than_the_sequence(name: str) -> None:
    short, long = (
        peak_bytes(MIXERS[name](Size(batch=1, time=time, width=64))) for time in (256, 1024)
    )
    assert long < 4.4 * short


@pytest.mark.slow
@pytest.mark.parametrize("name", MIXERS)
def test_16384_tokens_train_in_a_gibibyte(name: str) -> None:
    assert peak_bytes(MIXERS[name](Size(batch=1, time=16384))) < GIB
