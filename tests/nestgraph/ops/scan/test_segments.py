"""How a loop walks a sequence between ticks."""

from __future__ import annotations

import pytest
import torch

from nestgraph.ops import pieces, segments


def test_segments_end_at_ticks_and_say_who_is_due():
    assert list(segments(0, 6, (4,), 64)) == [(0, 4, (True,)), (4, 6, (False,))]


def test_segments_are_at_most_the_longest():
    assert [cut[:2] for cut in segments(0, 7, (), 3)] == [(0, 3), (3, 6), (6, 7)]


@pytest.mark.parametrize("cut", range(1, 12))
def test_ticks_are_absolute_wherever_a_sequence_is_split(cut):
    periods = (3, 4)

    def ticks(pieces):
        return {
            (start + end, period)
            for start, length in pieces
            for _, end, due in segments(start, length, periods, 64)
            for period, ticks in zip(periods, due, strict=True)
            if ticks
        }

    whole = ticks([(0, 12)])
    assert whole == {(3, 3), (6, 3), (9, 3), (12, 3), (4, 4), (8, 4), (12, 4)}
    assert ticks([(0, cut), (cut, 12 - cut)]) == whole


def test_the_pieces_of_a_flow_lie_where_their_segments_do():
    x = torch.randn(2, 7, 3)
    cuts = list(segments(2, 7, (4,), 3))
    parts = pieces(x, 1, cuts)
    assert all(torch.equal(parts[begin], x[:, begin:end]) for begin, end, _ in cuts)
    assert len(parts) == len(cuts)


def test_whole_periods_may_lie_in_one_segment_that_begins_at_a_tick():
    cuts = [cut[:2] for cut in segments(2, 31, (4,), 13, whole=True)]
    assert cuts == [(0, 2), (2, 14), (14, 26), (26, 30), (30, 31)]


def test_a_period_longer_than_a_segment_is_cut_as_ever():
    assert list(segments(0, 9, (6,), 4, whole=True)) == list(segments(0, 9, (6,), 4))
