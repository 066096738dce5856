"""A scene as SVG.

Written by hand, so that the bytes are the same on every machine and a page can give colours
by CSS variables. Each text says how wide it is: it fills the same space in whatever font a
viewer has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nestgraph.viz.scene.arrows import Mark, mark
from nestgraph.viz.scene.metrics import is_measured, text_width
from nestgraph.viz.scene.shapes import Line, Point, Scene, Shape, Text
from nestgraph.viz.scene.splines import number
from nestgraph.viz.scene.theme import FONTS, STROKES, Theme
from nestgraph.viz.writers.escape import tip, xml

Paint = Callable[[str], str]
Key = Callable[[str], str]


def to_svg(scene: Scene, theme: Theme) -> str:
    """Return a file of its own."""
    body = "\n".join(_body(scene, theme.colour, str))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_open(scene)}\n{body}\n</svg>\n'


def inline_svg(scene: Scene, key: Key) -> str:
    """Return an element of a page, whose style sheet holds a variable for each paint.

    Args:
        scene: what to paint.
        key: a short name for each id, so that long ones stand in the page once.
    """
    body = "\n".join(_body(scene, lambda paint: f"var(--{paint})", key))
    return f"{_open(scene)}\n{body}\n</svg>"


def _open(scene: Scene) -> str:
    size = f'width="{number(scene.width)}" height="{number(scene.height)}"'
    box = f'viewBox="0 0 {number(scene.width)} {number(scene.height)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} role="img" '
        f'aria-label="{xml(tip(scene.name))}" font-family="{FONTS}">'
    )


def _body(scene: Scene, paint: Paint, key: Key) -> Iterator[str]:
    page = f'width="{number(scene.width)}" height="{number(scene.height)}" fill="{paint("page")}"'
    yield f'<rect class="page" {page}/>'
    frames = [shape for shape in scene.shapes if shape.frame]
    yield from (_shape(shape, paint, key) for shape in frames)
    yield from (_line(line, paint, key) for line in scene.lines)
    yield from (_shape(shape, paint, key) for shape in scene.shapes if not shape.frame)


def _shape(shape: Shape, paint: Paint, key: Key) -> str:
    role = "cluster" if shape.frame else "node"
    classes = " ".join(filter(None, (role, shape.kind, shape.status)))
    inside = f' data-in="{xml(key(shape.inside))}"' if shape.inside else ""
    inside += f' data-of="{xml(key(shape.owner))}"' if shape.owner else ""
    own = f' data-id="{xml(key(shape.id))}"' if shape.id else ""
    parts = [_tip(shape.tip), _rect(shape, paint), *(_text(text, paint) for text in shape.texts)]
    return f'<g class="{xml(classes)}"{own}{inside}>{"".join(parts)}</g>'


def _tip(text: str) -> str:
    return f"<title>{xml(tip(text))}</title>" if text else ""


def _rect(shape: Shape, paint: Paint) -> str:
    if not shape.fill and not shape.line:
        return ""
    rect = shape.rect
    place = f'x="{number(rect.left)}" y="{number(rect.top)}"'
    size = f'width="{number(rect.width)}" height="{number(rect.height)}"'
    round_ = f' rx="{number(shape.radius)}"' if shape.radius else ""
    stroke = f' stroke="{paint(shape.line)}"' if shape.line else ""
    dash = ' stroke-dasharray="4 3"' if shape.dashed else ""
    fill = paint(shape.fill) if shape.fill else "none"
    return f'<rect {place} {size}{round_} fill="{fill}"{stroke}{dash}/>'


def _text(text: Text, paint: Paint) -> str:
    place = f'x="{number(text.left)}" y="{number(baseline(text))}"'
    bold = ' font-weight="bold"' if text.bold else ""
    long = ""
    if is_measured(text.content):
        long = f' textLength="{number(text_width(text.content, text.size, bold=text.bold))}"'
        long += ' lengthAdjust="spacingAndGlyphs"'
    look = f'font-size="{number(text.size)}"{bold} fill="{paint(text.ink)}"'
    return f"<text {place} {look}{long}>{xml(text.content)}</text>"


def baseline(text: Text) -> float:
    """Return where letters stand: capitals of Helvetica are 0.72 of their size high."""
    return text.top + text.height / 2 + 0.36 * text.size


def _line(line: Line, paint: Paint, key: Key) -> str:
    stroke = STROKES[line.kind]
    colour = paint(line.kind if not line.status else f"{line.status}-line")
    dash = {"dashed": ' stroke-dasharray="5 2"', "dotted": ' stroke-dasharray="1 5"'}
    look = f'stroke="{colour}" stroke-width="{number(stroke.width)}"{dash.get(stroke.style, "")}'
    marks = [
        mark(stroke.head, line.path[-1], line.end),
        mark(stroke.tail, line.path[0], line.start),
    ]
    drawn = [_mark(one, colour, paint("page")) for one in marks if one is not None]
    classes = " ".join(filter(None, ("edge", line.kind, line.status)))
    ends = ""
    if line.source:
        ends = f' data-from="{xml(key(line.source))}" data-to="{xml(key(line.target))}"'
    else:
        classes += " legend"
    path = f'<path d="{_path(line.path)}" fill="none" {look}/>'
    return f'<g class="{classes}"{ends}>{_tip(line.tip)}{path}{"".join(drawn)}</g>'


def _path(points: tuple[Point, ...]) -> str:
    rest = " ".join(_point(point) for point in points[1:])
    return f"M{_point(points[0])}C{rest}"


def _point(point: Point) -> str:
    return f"{number(point[0])},{number(point[1])}"


def _mark(one: Mark, colour: str, paper: str) -> str:
    look = f'fill="{colour if one.filled else paper}" stroke="{colour}"'
    if one.radius:
        ((x, y),) = one.points
        place = f'cx="{number(x)}" cy="{number(y)}"'
        return f'<circle {place} r="{number(one.radius)}" {look} stroke-width="1.6"/>'
    return f'<polygon points="{" ".join(map(_point, one.points))}" {look}/>'
