"""The frame of a page of plots: one file that needs nothing else and runs nothing.

Whatever an author wrote is escaped, plots and pictures stand in it as images, which run nothing,
and the page forbids scripts and anything from outside.
"""

from __future__ import annotations

import base64
from importlib.util import find_spec

from nestgraph.display.html_text import STYLE, escaped
from nestgraph.errors import InputError

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
LOOKS = """
:root { color-scheme: light dark }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
figure { margin: 1rem 0 } figcaption { font-size: 12px; opacity: .8 }
img { max-width: 100%; background: #fff; border-radius: 4px }
summary { cursor: pointer; font-weight: 600; margin: .6em 0 }
"""


def require_matplotlib() -> None:
    """Make sure that plots can be drawn.

    Raises:
        InputError: matplotlib is not installed (NG809).
    """
    if find_spec("matplotlib") is None:
        raise InputError(
            "NG809",
            "a report needs matplotlib, which is not installed",
            "pip install 'nestgraph[report]', or '.[report]' in a checkout",
        )


def framed(title: str, body: str) -> str:
    """Return a whole page.

    Args:
        title: of it, as text.
        body: what stands below the title, as HTML.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{STYLE}{LOOKS}</style></head>\n"
        f'<body class="nestgraph">\n<h1>{escaped(title)}</h1>\n{body}\n</body></html>\n'
    )


def image(svg: bytes, words: str) -> str:
    """Return an SVG as an image, in which no script runs and no name meets another."""
    content = base64.b64encode(svg).decode()
    return f'<img alt="{escaped(words)}" src="data:image/svg+xml;base64,{content}">'


def folded(title: str, text: str) -> str:
    """Return a text that a reader may open."""
    return f"<details><summary>{escaped(title)}</summary><pre>{escaped(text)}</pre></details>"
