"""Rasters of clocks."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import yaml
from building import model_of

from nestgraph.language.spec import load
from nestgraph.language.system import NEVER, Clock, FlatBlock, Memory, System
from nestgraph.viz import DrawError, draw
from nestgraph.viz.clocks.picture import Panel, raster, ticks_within


def marks(panel: Panel) -> dict[str, str]:
    return {row.level.name: "".join(".X"[tick] for tick in row.ticks) for row in panel.rows}


def hope() -> System:
    """Hope on clocks of 8 tokens, and of 1, 4 and 16 steps."""
    return load("hope-tiny", set={"vars.chunk": 8, "vars.mid": 4, "vars.slow": 16}).system


def test_ticks_lie_behind_the_positions_that_the_period_divides() -> None:
    rng = random.Random(5)
    for _ in range(50):
        period, first = rng.randint(1, 40), rng.randint(1, 500)
        last = first + rng.randint(0, 60)
        clock = Clock(name="c", unit="tokens", period=period)
        expected = any(at % period == 0 for at in range(first, last + 1))
        assert ticks_within(clock, first, last, "tokens", 64) is expected


def test_a_step_ends_when_the_context_has_been_seen() -> None:
    slow = Clock(name="slow", unit="steps", period=3)
    ticking = [at for at in range(1, 400) if ticks_within(slow, at, at, "tokens", 64)]
    assert ticking == [192, 384]
    assert [at for at in range(1, 10) if ticks_within(slow, at, at, "steps", 64)] == [3, 6, 9]


def test_what_never_moves_never_ticks() -> None:
    assert not ticks_within(NEVER, 1, 10**9, "tokens", 64)


def test_without_a_span_each_unit_has_its_own_axis() -> None:
    steps, tokens = raster(hope()).panels
    assert list(marks(steps)) == ["slow", "mid", "step, fast"]
    assert marks(steps)["slow"] == ("." * 15 + "X") * 2
    assert marks(tokens) == {"context": ("." * 7 + "X") * 4}


def test_a_span_puts_all_levels_on_one_axis() -> None:
    (panel,) = raster(hope(), "60:70").panels
    assert marks(panel) == {
        "slow": "." * 11,
        "mid": "." * 11,
        "step, fast": "....X......",
        "context": "....X......",
    }
    assert panel.told == "tokens 60 to 70; a step ends every 64 tokens of a row"
    (panel,) = raster(hope(), "4 steps").panels
    assert marks(panel)["mid"] == "...X"
    assert marks(panel)["context"] == "XXXX"


def test_a_long_span_puts_several_positions_in_a_column() -> None:
    (panel,) = raster(hope(), "1:4096").panels
    assert len(panel.rows[0].ticks) == 128
    assert sum(panel.rows[0].ticks) == 4
    assert "32 in a column" in panel.told


def test_attention_is_recomputed_at_every_token() -> None:
    panels = raster(load("transformer-tiny").system).panels
    assert set(marks(panels[-1]).values()) == {"X" * 32}


@pytest.mark.parametrize("span", ["", "0", "5:4", "a", "-3", "1:2:3", "10 moons", f"{10**13}"])
def test_a_span_that_can_not_be_read_is_refused(span: str) -> None:
    with pytest.raises(DrawError, match="is no span"):
        raster(hope(), span)


def test_mermaid_lists_the_first_ticks_of_each_level() -> None:
    text = str(draw(hope(), format="mmd", view="clock"))
    assert '["1 slow, every 16 steps<br/>ticks at 16, 32"]' in text
    assert "ticks at 4, 8, 12, 16, 20, 24, 28, 32" in text
    assert "ticks at 1, 2, 3, 4, 5, 6, 7, 8, and 24 more" in text
    long = str(draw(hope(), format="mmd", view="clock", span="1:4096"))
    assert "ticks at 993 to 1024, 2017 to 2048, 3041 to 3072, 4065 to 4096" in long
    assert "no tick" in str(draw(hope(), format="mmd", view="clock", span="7 tokens"))


def test_a_hostile_clock_stays_within_its_box() -> None:
    level = '<script>`"]; click n0 call x()'
    system = hope()
    assert system.model is not None
    layers = tuple(
        replace(layer, block=replace(layer.block, memories=_on_clock(layer.block, level)))
        for layer in system.model.layers
    )
    system = replace(system, name=level, model=replace(system.model, layers=layers))
    _, front, text = str(draw(system, format="mmd", view="clock")).split("---\n", 2)
    assert yaml.safe_load(front) == {"title": level}  # a word of YAML, which is no part of the text
    assert "#60;script#62;" in text
    assert not {"<script", "`"} & {sign for sign in ("<script", "`") if sign in text}
    assert all(line.count('"') in (0, 2) for line in text.splitlines())


def _on_clock(block: FlatBlock, name: str) -> dict[str, Memory]:
    """Return the memories of a block, on clocks of another name."""
    return {
        key: replace(memory, level=replace(memory.level, name=name))
        for key, memory in block.memories.items()
    }


def test_a_raster_is_drawn_in_every_format() -> None:
    body = "memories:\n  M: {keys: x, values: x, level: chunk}\nnodes: {out: {read: M, query: x}}"
    system = model_of(body)
    for form in ("svg", "png", "pdf", "dot", "mmd", "txt"):
        assert draw(system, format=form, view="clock")
