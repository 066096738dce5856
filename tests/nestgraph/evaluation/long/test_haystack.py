"""Rows with needles: every byte in its place, whatever is hidden in whatever."""

from __future__ import annotations

import random

import pytest

from nestgraph.data import load_corpus
from nestgraph.evaluation.long.haystack import (
    FILLER,
    Background,
    Needles,
    Piece,
    batch,
    filler,
    novels,
    row,
    sentences,
)
from nestgraph.evaluation.task import Split
from nestgraph.runtime.labels import IGNORED

HAYS = {"filler": filler, "novels": novels(Split.TUNE)}


def word(source: random.Random) -> bytes:
    return bytes(source.choices(range(1, 9), k=source.randint(1, 12)))  # no byte of a haystack


def drawn(source: random.Random) -> Needles:
    return Needles(
        opening=word(source),
        hidden=tuple(word(source) for _ in range(source.randint(1, 5))),
        others=tuple(word(source) for _ in range(source.randint(0, 3))),
        question=(Piece(text=word(source)), Piece(text=word(source), asked=True)),
    )


@pytest.mark.parametrize("hay", HAYS.values(), ids=HAYS)
@pytest.mark.parametrize("seed", range(25))
def test_a_row_has_its_length_its_needles_in_order_and_its_gap(hay: Background, seed: int) -> None:
    source = random.Random(seed)
    needles, gap = drawn(source), source.randint(1, 300)
    T = needles.size - 1 + gap + source.randint(0, 500)

    body, question, answer = row(needles, T, gap, hay, source)

    assert len(body.text + question.text + answer.text) == T + 1
    assert body.text.startswith(needles.opening)
    hidden = [byte for byte in body.text if byte < 9]
    assert sorted(hidden) == sorted(b"".join((needles.opening, *needles.hidden, *needles.others)))
    place = 0
    for each in needles.hidden:
        place = body.text.find(each, place)
        assert place >= 0
        place += len(each)
    after = bytes(byte for byte in body.text[place:] if byte >= 9)
    assert len(after) >= gap


@pytest.mark.parametrize("hay", HAYS.values(), ids=HAYS)
def test_needles_stand_between_sentences(hay: Background) -> None:
    source = random.Random(4)
    needles = Needles(opening=b"", hidden=(b"\1",), question=(Piece(text=b"\2\2", asked=True),))
    for _ in range(50):
        before, _, after = row(needles, 700, 50, hay, source)[0].text.partition(b"\1")
        assert not before or before.endswith((b". ", b"! ", b"? "))
        assert after


def test_needles_stand_everywhere_that_the_gap_allows() -> None:
    source = random.Random(5)
    needles = Needles(opening=b"", hidden=(b"\1",), question=(Piece(text=b"\2\2", asked=True),))
    found = [row(needles, 1000, 200, filler, source)[0].text.index(b"\1") for _ in range(400)]
    assert min(found) < 50
    assert 700 < max(found) <= 800


def test_only_what_is_asked_is_a_label_and_each_is_the_next_byte() -> None:
    rows = [
        [Piece(text=b"abc"), Piece(text=b"de", asked=True)],
        [Piece(text=b"f"), Piece(text=b"gh", asked=True), Piece(text=b"ij")],
    ]
    found, whole = batch(rows), batch(rows, whole=True)

    x = IGNORED
    assert found.tokens.tolist() == [list(b"abcd"), list(b"fghi")]
    assert found.targets.tolist() == [[x, x, *b"de"], [*b"gh", x, x]]
    assert whole.targets.tolist() == [list(b"bcde"), list(b"ghij")]


def test_splits_of_the_novels_share_no_sentences_and_keep_their_order() -> None:
    text = b" ".join(load_corpus("austen").text.split())
    places = {}
    for split in Split:
        known = sentences(split)
        assert all(len(each.split()) >= 10 and each.endswith(b" ") for each in known)
        places[split] = [text.index(known[0].strip()), text.index(known[-1].strip())]
        assert places[split][0] < places[split][1]
    assert places[Split.TRAIN][1] < places[Split.TUNE][0]
    assert places[Split.TUNE][1] < places[Split.TEST][0]


def test_the_filler_is_mohtashamis_and_has_any_size() -> None:
    whole = b"".join(FILLER)
    for size in (0, 1, 17, 500):
        found = b"".join(filler(size, random.Random(size)))
        assert len(found) == size
        assert found in whole * 10


def test_a_row_without_room_for_the_gap_is_the_fault_of_who_asks() -> None:
    needles = Needles(opening=b"", hidden=(b"\1",), question=(Piece(text=b"\2\2", asked=True),))
    with pytest.raises(AssertionError, match="not of 200"):
        row(needles, 150, 200, filler, random.Random(0))
