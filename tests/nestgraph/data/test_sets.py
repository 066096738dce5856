"""Data sets that ship: whole, as large as their authors say, and split so that tests are fair."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest

from nestgraph.data import labelled, load_corpus, shipped_names
from nestgraph.data import shipped as shipped_module
from nestgraph.data.labelled import LABELLED, Labelled, load_labelled
from nestgraph.data.languages import languages, load_pairs
from nestgraph.data.shipped import manifest, read_shipped
from nestgraph.data.stories import TASKS, load_questions
from nestgraph.errors import InputError

ROOT = Path(__file__).parents[3]
SETS = [name for name, entry in manifest().items() if entry["kind"] == "set"]


def the_set(name: str) -> Labelled:
    if name == "digits":
        pytest.importorskip("sklearn", reason="`nestgraph[eval]` is not installed")
    return load_labelled(name)


@pytest.mark.parametrize("name", SETS)
def test_the_manifest_describes_each_set(name: str) -> None:
    entry, content = manifest()[name], read_shipped(name)

    assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    assert len(content) == entry["bytes"]
    assert entry["rows"]
    assert entry["licence"]
    assert entry["source"].startswith("github.com/")


def test_the_notice_tells_of_every_file_that_ships() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")

    folder = Path(str(files("nestgraph.data")))
    packed = {file.name for file in folder.glob("*.xz")}
    assert packed == {entry["file"] for entry in manifest().values()}
    assert {name for name in packed if name not in notice} == set()


def test_what_ships_stays_small() -> None:
    folder = Path(str(files("nestgraph.data")))

    assert sum(file.stat().st_size for file in folder.glob("*.xz")) < 3_300_000


def test_a_set_is_no_text_to_train_on() -> None:
    assert shipped_names() == ("shakespeare", "austen")
    with pytest.raises(InputError, match="neither a file, a folder nor a shipped text"):
        load_corpus("clinc150")


@pytest.mark.parametrize("name", SETS)
def test_a_damaged_set_is_refused_before_it_is_unpacked(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entry = manifest()[name]
    content = bytearray(files("nestgraph.data").joinpath(entry["file"]).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / entry["file"]).write_bytes(content)
    monkeypatch.setattr(shipped_module, "manifest", lambda: {name: entry})
    monkeypatch.setattr(shipped_module, "files", lambda _: tmp_path)

    with pytest.raises(InputError, match=rf"NG703 the shipped file {re.escape(entry['file'])}"):
        read_shipped(name)


@pytest.mark.parametrize(
    ("name", "groups", "sizes"),
    [
        ("clinc150", 10 * (15,), (18_000, 4_500)),
        ("banking77", 7 * (11,), (10_003, 3_080)),
        ("dbpedia14", 7 * (2,), (5_000, 5_000)),
        ("digits", 5 * (2,), (1_400, 397)),
    ],
)
def test_a_labelled_set_has_the_rows_and_classes_of_its_authors(
    name: str, groups: tuple[int, ...], sizes: tuple[int, int]
) -> None:
    found = the_set(name)

    assert tuple(len(group) for group in found.groups) == groups
    assert sorted(sum(found.groups, ())) == list(range(len(found.classes)))
    assert len(set(found.classes)) == len(found.classes)
    assert (len(found.train) + len(found.tune), len(found.test)) == sizes
    for part in (found.train, found.tune, found.test):
        assert {row.label for row in part} == set(range(len(found.classes)))


@pytest.mark.parametrize("name", ["banking77", "dbpedia14", "digits"])
def test_a_set_without_rows_to_tune_on_keeps_a_tenth_of_each_class_for_it(name: str) -> None:
    found = the_set(name)

    train, tune = (Counter(row.label for row in part) for part in (found.train, found.tune))
    assert {label: (train[label] + tune[label]) // 10 for label in train} == dict(tune)


def test_clinc150_is_balanced_and_its_domains_keep_related_intents_together() -> None:
    found = the_set("clinc150")

    for part, each in ((found.train, 100), (found.tune, 20), (found.test, 30)):
        assert set(Counter(row.label for row in part).values()) == {each}
    banking = {found.classes[label] for label in found.groups[0]}
    assert {"freeze_account", "routing", "report_fraud"} <= banking
    assert b"how many onions do i have on hand" not in {row.content for row in found.train}


@pytest.mark.parametrize(
    ("name", "content", "label"),
    [
        (
            "clinc150",
            b"what expression would i use",
            "translate",
        ),
        ("banking77", b"How do I know if I will get my card, or if it is lost?", "card_arrival"),
        ("dbpedia14", b"Kiriko Takemura", "Artist"),
    ],
)
def test_a_row_has_the_label_of_its_class(name: str, content: bytes, label: str) -> None:
    found = the_set(name)

    labels = {row.label for row in found.train if row.content.startswith(content)}
    assert {found.classes[each] for each in labels} == {label}


def test_digits_are_bytes_of_pixels() -> None:
    found = the_set("digits")

    assert {len(row.content) for row in found.train} == {64}
    assert max(max(row.content) for row in found.train) == 16


def test_digits_without_scikit_learn_say_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(labelled, "find_spec", lambda name: None)

    with pytest.raises(InputError, match=r"NG809 .*pip install 'nestgraph\[eval\]'"):
        LABELLED["digits"]()


@pytest.mark.parametrize("name", ["clinc150", "banking77", "dbpedia14", "digits"])
def test_no_row_is_in_two_parts_twice(name: str) -> None:
    if name == "digits" and find_spec("sklearn") is None:
        pytest.skip("`nestgraph[eval]` is not installed")
    found = load_labelled(name)

    train = {row.content for row in found.train}
    for part in (found.tune, found.test):
        both = sum(row.content in train for row in part)
        assert both <= len(part) / 200, f"{both} of {len(part)}"


@pytest.mark.parametrize("task", TASKS)
def test_babi_has_a_thousand_questions_of_each_task_to_learn_from_and_to_score(task: int) -> None:
    for part in ("train", "test"):
        questions = load_questions(task, part)
        assert len(questions) == 1000
        assert all(each.facts and each.text.endswith("?") and each.answer for each in questions)


def test_a_question_of_babi_knows_the_story_up_to_it() -> None:
    first, second, *_ = load_questions(1, "train")

    assert first.facts == ("Mary moved to the bathroom.", "John went to the hallway.")
    assert (first.text, first.answer) == ("Where is Mary?", "bathroom")
    assert second.facts == (
        *first.facts,
        "Daniel went back to the hallway.",
        "Sandra moved to the garden.",
    )
    assert len(load_questions(1, "train")[5].facts) == 2  # the second story begins anew


@pytest.mark.parametrize("task", [1, 2, 3])
def test_where_questions_of_babi_are_answered_by_one_of_six_places(task: int) -> None:
    places = {"bathroom", "bedroom", "garden", "hallway", "kitchen", "office"}

    assert {each.answer for each in load_questions(task, "test")} == places


def test_there_are_eight_languages_and_all_their_sentences() -> None:
    rows = manifest()["field-languages"]["rows"]

    assert len(languages()) == 8
    for language in languages():
        found = load_pairs(language)
        assert len(found.train) + len(found.tune) + len(found.test) == rows[language]
        assert all(pair.text and pair.english for pair in found.train + found.test)


@pytest.mark.parametrize("language", languages())
def test_a_narrative_is_never_both_learned_from_and_scored(language: str) -> None:
    found = load_pairs(language)

    scored = {pair.narrative for pair in found.test}
    assert scored
    assert not scored & {pair.narrative for pair in found.train + found.tune}
    told = [p for p in found.train + found.tune + found.test if p.narrative != "dictionaria"]
    assert len(told) / 10 <= len(found.test) <= len(told) / 4
    assert len(found.tune) == pytest.approx((len(found.train) + len(found.tune)) / 10, abs=8)


def test_the_dictionary_of_kalamang_is_learned_from() -> None:
    found = load_pairs("kalamang")

    assert sum(pair.narrative == "dictionaria" for pair in found.train + found.tune) == 1763
