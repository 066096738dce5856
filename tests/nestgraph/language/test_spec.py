"""Specs: every draft and every shipped spec loads, and again from the texts that were kept."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mistakes import FILE, GOOD, errors, findings

from nestgraph.errors import Span, SpecError
from nestgraph.language import zoo
from nestgraph.language.spec import Spec, load
from nestgraph.language.system import Region

DRAFTS = sorted((Path(__file__).parent.parent / "drafts").glob("*.yaml"))
SHIPPED = zoo.names()


# What the author wrote, and the optimizer that a name means: a resolved text keeps the name.
UNSAID = ("written", "system")


def meaning(value: object) -> object:
    """Return a system as plain values, without places, names of blocks and what was left unsaid."""
    if isinstance(value, Span):
        return None
    if isinstance(value, Region):
        return value.prefix
    if is_dataclass(value):
        left = [field.name for field in fields(value) if not field.name.startswith("span")]
        return {name: meaning(getattr(value, name)) for name in left if name not in UNSAID}
    if isinstance(value, dict):
        return {key: meaning(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [meaning(inner) for inner in value]
    return value


@pytest.mark.parametrize("path", DRAFTS, ids=lambda path: path.stem)
def test_every_draft_of_the_language_loads(path: Path):
    spec = load(path)

    assert (spec.system.model is None) != (spec.system.optimizer is None)
    assert spec.path == path.as_posix()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_spec_loads_without_warnings(name: str):
    spec = load(name)

    assert spec.system.name == name
    assert spec.system.doc
    assert spec.warnings == ()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_spec_opens_with_what_editors_and_readers_need(name: str):
    lines = (zoo.folder() / f"{name}.yaml").read_text(encoding="utf-8").splitlines()

    assert lines[0] == "# yaml-language-server: $schema=./schema.json"
    assert f"#   nestgraph train {name}" in "\n".join(lines)


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.endswith("-tiny")])
def test_tiny_specs_differ_from_their_model_in_size_only(name: str):
    tiny, whole = load(name).system.model, load(name.removesuffix("-tiny")).system.model

    assert tiny is not None
    assert whole is not None
    assert [layer.path for layer in tiny.layers] == [layer.path for layer in whole.layers]
    assert [set(layer.block.nodes) for layer in tiny.layers] == [
        set(layer.block.nodes) for layer in whole.layers
    ]


@pytest.mark.parametrize("name", [*SHIPPED, *map(str, DRAFTS)], ids=lambda name: Path(name).stem)
def test_a_spec_is_read_again_from_its_texts_and_from_its_resolved_text(name: str):
    spec = load(name, set={"training.steps": 7})

    again = Spec.from_sources(spec.sources, spec.path, spec.overrides, spec.shipped)
    text = spec.resolved_yaml()
    resolved = Spec.from_sources({"r.yaml": text}, "r.yaml")

    assert again.system == spec.system
    assert again.warnings == spec.warnings
    assert "$" not in text.replace(spec.system.doc, "")
    assert "vars:" not in text
    assert "extends:" not in text
    assert resolved.system.training.steps == 7
    assert meaning(resolved.system) == meaning(spec.system)
    assert resolved.resolved_yaml() == text


def test_a_block_used_with_other_vars_becomes_another_block_when_resolved():
    text = GOOD.replace("nodes:", "vars: {h: 1}\n    nodes:").replace("out: 1", "out: $h")
    text = text.replace("[{block: b, repeat: $d}]", "[{block: b}, {block: b, with: {h: 1}}]")
    again = text.replace("with: {h: 1}", "with: {h: $w // 8}")
    other = text.replace("with: {h: 1}", "with: {h: 8}").replace("rate: r", "rate: 1")

    def blocks(text: str) -> list[str]:
        resolved = Spec.from_sources({FILE: text}, FILE).resolved_yaml()
        return [line for line in resolved.splitlines() if line.startswith("  b")]

    assert blocks(text) == ["  b:"]
    assert blocks(again) == ["  b:"]
    assert blocks(other) == ["  b:", "  b_2:"]


def test_a_block_that_nothing_uses_stays_when_resolved():
    text = GOOD.replace("  b:\n", "  c: {nodes: {out: {op: silu, in: x}}}\n  b:\n", 1)

    assert "  c:\n" in Spec.from_sources({FILE: text}, FILE).resolved_yaml()


def test_texts_that_are_incomplete_are_refused():
    spec = load("hope-tiny")
    texts = {spec.path: spec.sources[spec.path]}

    with pytest.raises(SpecError, match="NG112 `hope` is not among the texts kept"):
        Spec.from_sources(texts, spec.path)


def test_repeats_share_one_block():
    system = load("hope").system

    assert system.model is not None
    assert len({id(layer.block) for layer in system.model.layers}) == 1


def test_all_errors_of_a_spec_come_in_one_run_in_file_order():
    text = (
        GOOD.replace("4 tokens", "4 tokns")
        .replace("keys: k", "keyz: k")
        .replace("values: v", "values: w")
        .replace("out: 1", "out: 1.5")
        .replace("[sigmoid]", "[sigmod]")
        .replace("query: k", "query: M")
        .replace("vocab: 16", "vocab: 0")
        .replace("block: b,", "block: bb,")
        .replace("optimizer: adamw", "lr: 0")
    )

    found = errors(text)

    lines = [int(line.split(":")[1]) for line in found]
    assert lines == [4, 8, 8, 12, 12, 13, 16, 17, 18]
    codes = [line.split()[1] for line in found]
    assert codes == [
        *("NG104", "NG103", "NG201", "NG105", "NG104", "NG202", "NG104", "NG205", "NG104"),
    ]


def test_every_finding_of_the_front_has_a_cure():
    changes = [
        *(("w: 8", f"w: {value}") for value in ("[1]", "$d", "$w", "a", "1 / 0 * $d", "$")),
        *(("4 tokens", value) for value in ("4", "$w / 3 steps", "0 steps", "[a]", "fortnight")),
        *(("rate: r", f"rate: {value}") for value in ("q", "M", "true", "{}", "[a]", "{flow: 1}")),
        *(("net: linear", f"net: {value}") for value in ("[]", "{}", "{kind: 1}", "mlq", "{a: b}")),
        *(("{op: sum, in: [x, y]}", value) for value in ("{}", "3", "{op: []}", "{op: sum}")),
        *(("{block: b, repeat: $d}", value) for value in ("{}", "b", "{block: 3}", "{stack: []}")),
        *(
            ("[sigmoid]", value)
            for value in ("sum", "[sum]", "[conv]", "[{}]", "[[]]", "[position]")
        ),
        *(("b:\n", f"{value}:\n") for value in ("b c", "3")),
        ("k: {op", "then0: {op"),
        ("k: {op", "M: {op"),
        ("out: {op", "outt: {op"),
    ]
    for old, new in changes:
        assert old in GOOD
        for finding in findings(GOOD.replace(old, new, 1)):
            assert finding.hint, (new, str(finding))
            assert finding.span is not None, (new, str(finding))


def test_loading_is_quick_and_imports_neither_torch_nor_networkx():
    program = (
        "import sys, time; from nestgraph.language.spec import load; load('hope-tiny');"
        "print(time.process_time());"
        "assert not {'torch', 'networkx', 'lightning'} & set(sys.modules)"
    )

    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert float(run.stdout) < 2.0  # about 0.25 s on a quiet machine


SIGNS = tuple("[]{}:,$'\"\n\tx")
WORDS = (
    "$width",
    "$zz",
    "  ",
    "-1",
    "1e3",
    "null",
    "op",
    "read",
    "*a",
    "&a ",
    "- ",
    "? ",
    "like: M",
)
PIECES = st.sampled_from((*SIGNS, *WORDS))


@given(st.data())
def test_a_damaged_spec_is_a_list_of_placed_findings_never_a_crash(data: st.DataObject):
    text = (zoo.folder() / "hope.yaml").read_text(encoding="utf-8")
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.integers(0, 8))
        text = text[:start] + data.draw(PIECES) + text[end:]

    for finding in findings(text):
        assert finding.span is not None
        assert str(finding)


@pytest.mark.parametrize("version", ["$x", "true", "false", "$width", "2", "[1]", "{}", "'1'", ""])
def test_another_version_is_refused_at_its_place(version: str) -> None:
    """`$x`, which left nothing to say, and `true`, which Python takes for 1, are no versions."""
    text = (
        f"nestgraph: {version}\nname: m\nvars: {{width: 8}}\n"
        "blocks: {layer: {nodes: {out: {op: silu, in: x}}}}\n"
        "model: {embed: {vocab: 256, width: $width}, stack: [{block: layer}]}\n"
    )
    with pytest.raises(SpecError) as caught:
        Spec.from_sources({"m.yaml": text}, "m.yaml")
    errors = [one for one in caught.value.diagnostics if one.severity == "error"]
    assert [(one.span.line, one.span.column) for one in errors if one.span] in (
        [(1, 12)],
        [(1, 11)],
    )
