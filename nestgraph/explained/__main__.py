"""`python -m nestgraph.explained` renews the page of a checkout's documentation."""

from __future__ import annotations

from pathlib import Path

from nestgraph.explained import page

if __name__ == "__main__":
    docs = Path(__file__).parent.parent.parent / "docs"
    (docs / "errors-by-example.md").write_text(page(), encoding="utf-8")
