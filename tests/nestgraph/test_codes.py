"""The table of codes is complete, and so are the golden files of the rules."""

from __future__ import annotations

import re
from pathlib import Path

import nestgraph
from nestgraph.checks import RULES
from nestgraph.codes import CODES

GOLDEN = Path(__file__).parent.parent / "golden" / "diagnostics"
CODE = re.compile(r"\bNG\d{3}\b")


def codes_in(path: Path) -> set[str]:
    return set(CODE.findall(path.read_text(encoding="utf-8")))


def test_every_code_of_the_package_is_in_the_table_and_the_other_way_round():
    roots = [Path(nestgraph.__file__).parent]
    roots += [Path(folder) / name for folder in nestgraph.__path__ for name in ("compiler", "viz")]
    sources = [path for root in roots for path in root.rglob("*.py") if path.name != "codes.py"]

    used = set().union(*(codes_in(path) for path in sources))

    assert used - set(CODES) == set()
    assert set(CODES) - used == set()


def test_every_meaning_is_one_sentence():
    for meaning in CODES.values():
        assert meaning.endswith(".")
        assert len(meaning) < 100


def test_every_rule_has_a_golden_finding():
    shown = set().union(*(codes_in(path) for path in GOLDEN.glob("*.txt")))

    rules = {rule.code for rule in RULES}
    package = Path(nestgraph.__file__).parent
    written = (package / "analysis" / "support.py", *(package / "shapes").glob("*.py"))
    assert rules.union(*(codes_in(path) for path in written)) - shown == set()
