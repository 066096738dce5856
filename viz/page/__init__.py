"""One page with all views of some specs: it needs no server, no network and no other file.

The page holds its data as JSON and shows it with the scripts beside this file. A policy in its
head lets no other script run, whatever a spec says.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nestgraph.viz.scene.theme import THEMES, Theme
from nestgraph.viz.writers.escape import legal, xml

_FOLDER = Path(__file__).parent
_SCRIPTS = (
    "dom.js",
    "canvas.js",
    "trace.js",
    "panel.js",
    "time.js",
    "raster.js",
    "sheet.js",
    "search.js",
    "start.js",
)

Data = Mapping[str, Any]


def page(specs: Sequence[Data], live: bool = False, theme: str = "") -> str:
    """Return the text of a page.

    Args:
        specs: what `spec_data` gave, one for each column.
        live: listen for changes, as a page of `nestgraph view` does.
        theme: `light` or `dark`; else as the reader's system has it.
    """
    script = "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}}})();\n'
    parts = {
        "POLICY": _policy(script, live),
        "THEME": f' data-theme="{theme}"' if theme in ("light", "dark") else "",
        "TITLE": xml(" and ".join(legal(spec["name"])[:80] for spec in specs)),
        "STYLE": _colours() + (_FOLDER / "page.css").read_text(encoding="utf-8"),
        "DATA": harmless({"live": live, "specs": specs}),
        "SCRIPT": script,
    }
    text = (_FOLDER / "page.html").read_text(encoding="utf-8")
    pieces = text.split("@")  # at odd places stand the names of parts, each once
    return "".join(parts[one] if at % 2 else one for at, one in enumerate(pieces))


def harmless(data: object) -> str:
    """Return JSON that can't end the element that it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text.encode(errors="replace").decode()


def _policy(script: str, live: bool) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = [
        "default-src 'none'",
        f"script-src 'sha256-{digest}'",
        "style-src 'unsafe-inline'",
        "base-uri 'none'",
        "form-action 'none'",
        *(["connect-src 'self'"] if live else []),
    ]
    return "; ".join(rules)


def _colours() -> str:
    """Return each paint as a variable: by day, by night, and as the reader chose."""
    paints = [*THEMES["light"].paints, *_token_paints()]
    light, dark = (_variables(THEMES[name], paints) for name in ("light", "dark"))
    return (
        f":root {{ color-scheme: light; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; {dark} }} }}\n"
        f':root[data-theme="light"] {{ color-scheme: light; {light} }}\n'
        f':root[data-theme="dark"] {{ color-scheme: dark; {dark} }}\n'
    )


def _variables(theme: Theme, paints: Iterable[str]) -> str:
    return " ".join(f"--{paint}: {theme.colour(paint)};" for paint in paints)


def _token_paints(most: int = 8) -> Iterable[str]:
    """Yield tones of levels that count tokens, for up to `most` of them."""
    for last in range(most):
        for position in range(last + 1):
            yield from (f"token-{position}-{last}-{side}" for side in ("fill", "line"))
