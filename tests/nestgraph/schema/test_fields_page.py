"""The page on every field: current, complete, and with links that lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

from nestgraph.schema import OPS, json_schema
from nestgraph.schema.export import PARTIAL
from nestgraph.schema.fields_page import fields_page, titles

PAGE = Path(__file__).parents[3] / "docs" / "fields.md"


def test_the_page_of_the_documentation_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == fields_page(), "renew it: python -m nestgraph.schema"


def test_every_kind_of_the_schema_has_a_section_with_its_fields() -> None:
    kinds = {n: k for n, k in json_schema()["$defs"].items() if not n.startswith(PARTIAL)}
    inside_chains = {kind.__name__ for kind in OPS.values()}
    missing = set(kinds) - set(titles()) - inside_chains - {"Node", "Step"}
    assert not missing
    page = fields_page()
    for name in titles():
        for field, about in kinds[name]["properties"].items():
            if field not in ("kind", "op", "then") or name in ("ReadNode", "BlockNode"):
                assert f"| `{field}` | " in page
                assert about["description"].replace("|", "&#124;") in page


def test_every_op_has_a_heading() -> None:
    assert set(OPS) <= set(re.findall(r"^### (\w+)$", fields_page(), re.MULTILINE))


def test_every_link_of_the_page_leads_to_a_heading() -> None:
    page = fields_page()
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    anchors = {
        "".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c in "-_")
        for heading in headings
    }
    links = set(re.findall(r"\]\(#([^)]+)\)", page))
    assert links
    assert links <= anchors


def test_limits_and_defaults_are_those_of_the_schema() -> None:
    page = fields_page()
    assert "| `layers` | whole number from 1 to 64 | `2` |" in page
    assert "| `p` | number from 1 | needed |" in page
    assert "| `betas` | list of: number from 0 below 1 | `[0.9, 0.99]` |" in page
