"""PDF: a file that readers can find their way in."""

from __future__ import annotations

import re
from dataclasses import replace

from building import model_of

from nestgraph.language.spec import load
from nestgraph.viz import draw

BODY = "memories:\n  M: {keys: x, values: x}\nnodes:\n  out: {read: M, query: x}\n"


def pdf_of(name: str, view: str = "levels") -> bytes:
    picture = draw(load(name), format="pdf", view=view)  # type: ignore[arg-type]
    assert isinstance(picture, bytes)
    return picture


def test_the_table_says_where_every_object_begins() -> None:
    picture = pdf_of("hope-tiny")
    start = int(re.findall(rb"startxref\n(\d+)", picture)[0])
    assert picture[start:].startswith(b"xref\n")
    places = [int(place) for place in re.findall(rb"(\d{10}) 00000 n", picture[start:])]
    assert places
    for index, place in enumerate(places, start=1):
        assert picture[place:].startswith(b"%d 0 obj" % index)


def test_the_length_of_the_page_is_that_of_its_content() -> None:
    picture = pdf_of("hope-tiny", "block")
    length = int(re.findall(rb"/Length (\d+)", picture)[0])
    content = picture.split(b"stream\n", 1)[1]
    assert content[length:].startswith(b"\nendstream")


def test_texts_are_there_as_texts() -> None:
    texts = [
        bytes.fromhex(code) for code in re.findall(r"<([0-9a-f]*)> Tj", str(pdf_of("hope"))[2:])
    ]
    assert b"M_alpha" in texts
    assert "×4".encode("cp1252") in texts


def test_the_infinite_frequency_of_attention_is_a_symbol() -> None:
    assert b"/F2 10 Tf <a5> Tj" in pdf_of("transformer-tiny")


def test_letters_that_no_font_has_are_question_marks() -> None:
    system = replace(model_of(BODY), name="記")
    picture = draw(system, format="pdf")
    assert isinstance(picture, bytes)
    assert b"<3f> Tj" in picture
