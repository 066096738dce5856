"""`extends`: what a spec starts from, and errors in files that aren't there or go round."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mistakes import GOOD

from nestgraph.errors import SpecError
from nestgraph.language.spec import Spec, check, load

BASE = "nestgraph: 1\nname: child\nextends: base\n"


def child(text: str, base: str = GOOD) -> Spec:
    return Spec.from_sources({"child.yaml": BASE + text, "base.yaml": base}, "child.yaml")


def complaint(name: str) -> str:
    with pytest.raises(SpecError) as caught:
        load(name)
    (found,) = caught.value.diagnostics
    return str(found)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_mappings_merge_and_everything_else_is_replaced():
    spec = child(
        "vars: {w: 16}\n"
        "blocks: {b: {nodes: {r: {then: [tanh]}, extra: {op: silu, in: y}}}}\n"
        "training: {steps: 7}\n"
    )

    assert spec.system.model is not None
    assert spec.system.model.width == 16
    block = spec.system.model.layers[0].block
    assert getattr(block.nodes["r"], "op", None) == "tanh"
    assert "extra" in block.nodes
    assert spec.system.training.steps == 7
    assert spec.system.training.optimizer == "adamw"
    assert len(spec.system.model.layers) == 8


def test_a_mistyped_var_of_the_base_is_a_warning_that_names_it():
    warnings = child("vars: {ww: 16, far_away: 1}\nblocks: {b: {vars: {other: 2}}}\n").warnings

    assert [str(one) for one in warnings] == [
        "child.yaml:4:8: NG120 var `ww` is used nowhere; did you mean `w`?",
        "child.yaml:4:16: NG120 var `far_away` is used nowhere; delete it",
        "child.yaml:5:21: NG120 var `other` is used nowhere; delete it",
    ]


def test_a_var_of_the_base_that_nothing_uses_any_more_is_no_fault_of_the_file():
    """The base may well be sound without the child, and is not the child's to edit."""
    base = GOOD.replace("  b:\n", "  b:\n    vars: {size: 1}\n").replace("out: 1,", "out: $size,")
    base = base.replace("vars: {w", "vars: {rows: 3, w").replace("adamw}", "adamw, batch: $rows}")
    own = "training: {batch: 2}\nblocks: {b: {nodes: {r: {op: linear, in: x, out: 1}}}}\n"

    replaced = child(own, base=base)

    assert replaced.system.training.batch == 2
    assert replaced.warnings == ()


def test_a_mistyped_var_of_a_block_of_the_base_is_named_too():
    base = GOOD.replace("  b:\n", "  b:\n    vars: {size: 1}\n").replace("out: 1,", "out: $size,")
    warnings = child("blocks: {b: {vars: {sise: 2}}}\n", base=base).warnings

    assert [one.hint for one in warnings] == ["did you mean `size`?"]


def test_lists_are_replaced_as_a_whole():
    spec = child("model: {stack: [{block: b}]}\n")

    assert spec.system.model is not None
    assert len(spec.system.model.layers) == 1


def test_errors_keep_the_file_in_which_they_stand():
    with pytest.raises(SpecError) as caught:
        child("vars: {w: 2.5}\n", base=GOOD.replace("block: b", "block: c"))

    assert [str(one) for one in caught.value.diagnostics] == [
        "base.yaml:16:29: NG105 `model.embed.width` of the spec is 2.5 but must be whole; "
        "write a whole number, such as `2`",
        "base.yaml:17:19: NG205 no block is called `c`; known here: `b`",
    ]


def test_name_and_version_are_not_inherited():
    with pytest.raises(SpecError) as caught:
        Spec.from_sources({"c.yaml": "extends: base\n", "base.yaml": GOOD}, "c.yaml")

    assert [str(one) for one in caught.value.diagnostics] == [
        "c.yaml:1:1: NG106 the spec needs `name`; add `name: ...`",
        "c.yaml:1:1: NG106 the spec needs `nestgraph`; add `nestgraph: ...`",
    ]


def test_a_file_starts_from_its_own_folder_before_the_zoo(here: Path):
    (here / "specs").mkdir()
    (here / "specs" / "transformer.yaml").write_text(GOOD)
    (here / "specs" / "mine.yaml").write_text(BASE.replace("base", "transformer"))
    (here / "zoo.yaml").write_text(BASE.replace("base", "transformer"))

    assert load("specs/mine.yaml").system.model.width == 8  # type: ignore[union-attr]
    assert load("zoo").system.model.width == 256  # type: ignore[union-attr]


def test_a_circle_of_extends_prints_its_chain():
    texts = {
        name: f"nestgraph: 1\nname: {name}\nextends: {to}\n" for name, to in ("ab", "bc", "cb")
    }

    with pytest.raises(SpecError) as caught:
        Spec.from_sources(texts, "a")

    assert str(caught.value.diagnostics[0]) == (
        "c:3:10: NG112 `extends` goes round in a circle: b -> c -> b; "
        "start from a spec that does not lead back here"
    )


def test_endless_chains_are_refused():
    texts = {f"s{i}": f"nestgraph: 1\nname: s\nextends: s{i + 1}\n" for i in range(50)}

    with pytest.raises(SpecError, match="`extends` goes through more than 16 files"):
        Spec.from_sources(texts, "s0")


@pytest.mark.parametrize("value", ["[a]", "3", "{a: b}", ""])
def test_extends_must_be_a_name(value: str):
    with pytest.raises(SpecError, match="NG104 `extends` is"):
        Spec.from_sources({"c": f"nestgraph: 1\nname: c\nextends: {value}\n"}, "c")


def test_what_extends_a_missing_spec_is_told_where(here: Path):
    (here / "c.yaml").write_text("nestgraph: 1\nname: c\nextends: hop\n")

    assert complaint("c.yaml") == (
        "c.yaml:3:10: NG112 no file and no shipped spec is called `hop`; did you mean `hope`?"
    )


def test_a_missing_file_is_named_with_a_suggestion(here: Path):
    (here / "mine.yaml").write_text(GOOD)

    assert "called `min.yaml`; did you mean `mine.yaml`?" in complaint("min.yaml")
    assert "called `hoep-tiny`; did you mean `hope-tiny`?" in complaint("hoep-tiny")
    assert "called `xyzzy`; `nestgraph list` shows" in complaint("xyzzy")
    assert complaint("no/such/file.yaml").startswith("NG100 no file and no shipped spec")


def test_folders_and_other_things_are_no_specs(here: Path):
    (here / "runs").mkdir()
    os.mkfifo(here / "pipe.yaml")

    assert complaint("runs") == "NG100 `runs` is a folder; name one of the specs in it"
    assert complaint("").startswith("NG100 ")
    assert complaint("pipe.yaml") == "NG100 `pipe.yaml` is not a file; name a YAML file"


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "\ud800"])
def test_impossible_names_are_refused(here: Path, name: str):
    assert "NG100" in complaint(name)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "null\n"])
def test_an_empty_file_is_refused(here: Path, text: str):
    (here / "empty.yaml").write_text(text)

    assert complaint("empty.yaml") == (
        "empty.yaml:1:1: NG100 the file is empty; a spec begins `nestgraph: 1`"
    )


@pytest.mark.parametrize("text", ["[1, 2]", "hello", "3"])
def test_a_file_that_is_no_mapping_is_refused(here: Path, text: str):
    (here / "odd.yaml").write_text(text)

    assert complaint("odd.yaml").startswith("odd.yaml:1:1: NG100 the file holds")


def test_bytes_that_are_no_utf_8_have_a_place(here: Path):
    (here / "latin.yaml").write_bytes(
        "nestgraph: 1\nname: é\n".encode() + "doc: é".encode("latin1")
    )
    (here / "wide.yaml").write_bytes(GOOD.encode("utf-16"))

    assert complaint("latin.yaml") == (
        "latin.yaml:3:6: NG100 byte 0xe9 is not UTF-8; save the file as UTF-8"
    )
    assert "NG100" in complaint("wide.yaml")


def test_a_huge_file_is_not_read_to_its_end(here: Path):
    (here / "huge.yaml").write_text("# " + "x" * 2_000_000)

    assert complaint("huge.yaml").startswith("NG100 `huge.yaml` is longer than 1,000,000 bytes")


def test_a_file_that_may_not_be_read_is_refused(here: Path):
    path = here / "closed.yaml"
    path.write_text(GOOD)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")

    assert "NG100 `closed.yaml` can't be opened" in complaint("closed.yaml")


def test_a_path_beats_a_name_here_and_that_beats_the_zoo(here: Path):
    (here / "hope-tiny.yaml").write_text(GOOD)

    assert load("hope-tiny").path == "hope-tiny.yaml"
    assert load("hope").system.name == "hope"
    assert load(here / "hope-tiny.yaml").system.name == "t"


def test_a_folder_does_not_hide_a_spec_of_the_zoo(here: Path):
    (here / "hope").mkdir()

    assert load("hope").system.name == "hope"


def test_check_gives_findings_and_texts_without_raising(here: Path):
    (here / "t.yaml").write_text(GOOD.replace("op: sum", "op: summ"))

    found, sources = check("t.yaml")

    assert [one.code for one in found if one.severity == "error"] == ["NG104"]
    assert list(sources) == ["t.yaml"]
    assert check("nothing.yaml")[0][0].code == "NG100"


def test_errors_keep_their_places_through_a_chain_of_files():
    """Three files, an error in each; values that are replaced on the way are not judged."""
    texts = {
        "grand.yaml": GOOD.replace("keys: k,", "keys: kk,").replace("adamw", "7"),
        "parent.yaml": "nestgraph: 1\nname: p\nextends: grand\nlevels: {slow: 3 weeks}\n",
        "child.yaml": "nestgraph: 1\nname: c\nextends: parent\n"
        "training: {optimizer: adamw, lr: x}\n",
    }

    with pytest.raises(SpecError) as caught:
        Spec.from_sources(texts, "child.yaml")

    places = [(str(found.span), found.code) for found in caught.value.diagnostics]
    assert places == [
        ("child.yaml:4:34", "NG104"),
        ("grand.yaml:8:30", "NG201"),
        ("parent.yaml:4:16", "NG104"),
    ]


@pytest.mark.parametrize(
    "secret",
    [
        b"DB_PASSWORD: hunter2\n",
        b"DB_PASSWORD=hunter2: [\n",
        b"- hunter2\n",
        b"hunter2",
        b"",
        b"hunter2\xff\n",
        b"a: &a [hunter2, *b]\n",
        b"x: {nestgraph: hunter2}\n",
    ],
)
@pytest.mark.parametrize(
    "names",
    [
        "extends: ../secret.env",
        "extends: transformer-tiny\ntraining: {optimizer: ../secret.env}",
        "extends: transformer-tiny\ntraining: {optimizer: {extends: ../secret.env}}",
        "extends: muon\noptimizer: [{for: rest, spec: ../secret.env}]",
    ],
)
def test_a_file_that_is_no_spec_is_told_once_and_never_quoted(
    names: str, secret: bytes, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "secret.env").write_bytes(secret)
    file = tmp_path / "own" / "m.yaml"
    file.write_text(f"nestgraph: 1\nname: mine\n{names}\n")
    with pytest.raises(
        SpecError, match=r"m.yaml:\d+:\d+: NG115 .*secret.env` is no spec"
    ) as caught:
        load(file)
    assert len(caught.value.diagnostics) == 1
    assert not any(word in str(caught.value) for word in ("hunter2", "PASSWORD", "0xff"))


def test_a_base_with_mistakes_is_quoted_if_it_says_that_it_is_a_spec(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("# mine\n'nestgraph' : 1\nname: [base\n")
    (tmp_path / "m.yaml").write_text("nestgraph: 1\nname: m\nextends: base\n")
    with pytest.raises(SpecError, match=r"base.yaml:\d+:\d+: NG101"):
        load(tmp_path / "m.yaml")


@pytest.mark.parametrize("value", ["$x", "$width", "{a: 1}", "", "2", "[1]"])
def test_a_spec_that_is_not_loaded_always_says_why(value: str, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    text = f"nestgraph: {value}\nname: m\nextends: transformer-tiny\n"
    file.write_text(text)
    with pytest.raises(SpecError, match=r"m.yaml:1:\d+: NG(104|108)") as caught:
        load(file)
    assert len([one for one in caught.value.diagnostics if one.severity == "error"]) == 1


@pytest.mark.parametrize("name", ["d.yaml", "d"])
def test_a_link_that_leads_to_nothing_is_told_as_one(name: str, here: Path) -> None:
    (here / "d.yaml").symlink_to("gone.yaml")
    assert complaint(name) == (
        "NG100 `d.yaml` is a link to `gone.yaml`, which isn't there; mend the link, or name a spec"
    )
    (here / "m.yaml").write_text(f"nestgraph: 1\nname: m\nextends: {name}\n")
    assert "NG112 `d.yaml` is a link to `gone.yaml`" in complaint("m.yaml")


def test_links_that_go_round_are_told_as_such(here: Path) -> None:
    (here / "a.yaml").symlink_to("b.yaml")
    (here / "b.yaml").symlink_to("a.yaml")
    assert "`a.yaml` is a link to `b.yaml`, which leads back to it" in complaint("a.yaml")


def test_a_name_that_is_too_long_for_a_file_is_told_so(here: Path) -> None:
    assert complaint("n" * 300).endswith(
        "can't be opened: File name too long; name a spec; no file has so long a name"
    )
