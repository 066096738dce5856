"""When a run speaks up between its other lines, and what it says of its speed."""

from __future__ import annotations

from nestgraph.training.throughput import Throughput


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_run_speaks_after_fifteen_silent_seconds_and_then_every_fifteen() -> None:
    clock = Clock()
    pace = Throughput(100, clock)

    spoken = []
    for step in range(1, 9):
        clock.now += 4
        spoken.append(pace.after(step, step * 10) is not None)

    assert spoken == [False, False, False, True, False, False, False, True]


def test_another_line_begins_the_silence_anew() -> None:
    clock = Clock()
    pace = Throughput(100, clock)

    clock.now += 14
    pace.said(10)
    clock.now += 14
    early = pace.after(2, 20)
    clock.now += 1

    assert early is None
    assert pace.after(2, 20) is not None


def test_the_speed_is_since_the_last_line_and_the_time_left_as_of_the_whole_run() -> None:
    clock = Clock()
    pace = Throughput(100, clock)

    clock.now += 80  # 4 steps and a validation
    pace.said(400)
    clock.now += 20
    first = pace.after(5, 900)
    clock.now += 50
    second = pace.after(10, 1400)

    assert first == "25 tokens/s  31 min 40 s left"  # 95 steps of 20 s
    assert second == "10 tokens/s  22 min 30 s left"  # 90 steps of 15 s


def test_a_resumed_run_counts_from_where_it_goes_on() -> None:
    clock = Clock()
    pace = Throughput(100, clock)

    clock.now += 500
    pace.begin(90, 9000)
    clock.now += 16
    told = pace.after(92, 9200)

    assert told == "12 tokens/s  1 min 4 s left"
