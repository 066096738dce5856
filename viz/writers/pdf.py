"""A scene as PDF: one page, the fonts that every reader has, the same bytes on every machine.

Nothing is compressed, since not every zlib makes the same bytes. Letters beyond Latin-1, Greek
and ∞ stand as question marks: no font is embedded.
"""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.viz.scene.arrows import Mark, mark
from nestgraph.viz.scene.shapes import Line, Point, Scene, Shape, Text
from nestgraph.viz.scene.splines import number
from nestgraph.viz.scene.theme import STROKES, Theme
from nestgraph.viz.writers.escape import legal
from nestgraph.viz.writers.svg import baseline

_FONTS = {"F0": "Helvetica", "F1": "Helvetica-Bold", "F2": "Symbol"}
_SYMBOLS = {"∞": 0xA5} | {
    letter: code
    for letter, code in zip(
        "αβχδεφγηικλμνοπθρστυωξψζΓΔΘΛΞΠΣΦΨΩ",
        b"abcdefghiklmnopqrstuwxyzGDQLXPSFYW",
        strict=True,
    )
}
_DASHES = {"solid": "[] 0 d", "dashed": "[5 2] 0 d", "dotted": "[1 5] 0 d"}
_ROUND = 0.45  # of a radius: how far a quarter turn's control points stand from its corner


def to_pdf(scene: Scene, theme: Theme) -> bytes:
    """Return the bytes of a file."""
    content = "\n".join(_content(scene, theme)).encode("ascii")
    size = f"[0 0 {number(scene.width)} {number(scene.height)}]"
    fonts = " ".join(f"/{name} {4 + at} 0 R" for at, name in enumerate(_FONTS))
    stream = 4 + len(_FONTS)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            f"<< /Type /Page /Parent 2 0 R /MediaBox {size} /Contents {stream} 0 R "
            f"/Resources << /Font << {fonts} >> >> >>"
        ).encode(),
        *(_font(family) for family in _FONTS.values()),
        f"<< /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream",
    ]
    return _file(objects)


def _font(family: str) -> bytes:
    coding = "" if family == "Symbol" else " /Encoding /WinAnsiEncoding"
    return f"<< /Type /Font /Subtype /Type1 /BaseFont /{family}{coding} >>".encode()


def _file(objects: list[bytes]) -> bytes:
    """Return objects with the table that says where each begins."""
    parts = [b"%PDF-1.4\n"]
    starts: list[int] = []
    for index, content in enumerate(objects, start=1):
        starts.append(sum(map(len, parts)))
        parts.append(b"%d 0 obj\n%s\nendobj\n" % (index, content))
    table = sum(map(len, parts))
    parts.append(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    parts += [b"%010d 00000 n \n" % start for start in starts]
    parts.append(b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(objects) + 1))
    parts.append(b"startxref\n%d\n%%%%EOF\n" % table)
    return b"".join(parts)


def _content(scene: Scene, theme: Theme) -> Iterator[str]:
    size = f"0 0 {number(scene.width)} {number(scene.height)}"
    yield f"{_colour(theme.colour('page'))} rg {size} re f"
    yield f"1 0 0 -1 0 {number(scene.height)} cm"  # from here on y grows downwards
    for shape in (shape for shape in scene.shapes if shape.frame):
        yield from _shape(shape, theme)
    for line in scene.lines:
        yield from _line(line, theme)
    for shape in (shape for shape in scene.shapes if not shape.frame):
        yield from _shape(shape, theme)


def _shape(shape: Shape, theme: Theme) -> Iterator[str]:
    if shape.fill or shape.line:
        yield f"1 w {_DASHES['dashed' if shape.dashed else 'solid']}"
        yield f"{_colour(theme.colour(shape.fill))} rg" if shape.fill else ""
        yield f"{_colour(theme.colour(shape.line))} RG" if shape.line else ""
        yield _outline(shape)
        yield {(True, True): "B", (True, False): "f", (False, True): "S"}[
            bool(shape.fill), bool(shape.line)
        ]
    for text in shape.texts:
        yield from _text(text, theme)


def _outline(shape: Shape) -> str:
    rect, r = shape.rect, min(shape.radius, shape.rect.width / 2, shape.rect.height / 2)
    if not r:
        return f"{_point((rect.left, rect.top))} {number(rect.width)} {number(rect.height)} re"
    left, top, right, bottom, c = rect.left, rect.top, rect.right, rect.bottom, r * _ROUND
    turns = (
        ((right - r, top), (right - c, top), (right, top + c), (right, top + r)),
        ((right, bottom - r), (right, bottom - c), (right - c, bottom), (right - r, bottom)),
        ((left + r, bottom), (left + c, bottom), (left, bottom - c), (left, bottom - r)),
        ((left, top + r), (left, top + c), (left + c, top), (left + r, top)),
    )
    parts = [f"{_point((left + r, top))} m"]
    for straight, *bend in turns:
        parts += [f"{_point(straight)} l", f"{' '.join(map(_point, bend))} c"]
    return " ".join([*parts, "h"])


def _text(text: Text, theme: Theme) -> Iterator[str]:
    yield f"BT {_colour(theme.colour(text.ink))} rg"
    yield f"1 0 0 -1 {_point((text.left, baseline(text)))} Tm"
    for font, codes in _runs(text):
        yield f"/{font} {number(text.size)} Tf <{codes.hex()}> Tj"
    yield "ET"


def _runs(text: Text) -> Iterator[tuple[str, bytes]]:
    """Yield stretches of one font; what no font has is a question mark."""
    plain = "F1" if text.bold else "F0"
    font, codes = plain, bytearray()
    for letter in legal(text.content):
        symbol = _SYMBOLS.get(letter)
        wanted = plain if symbol is None else "F2"
        if wanted != font:
            if codes:
                yield font, bytes(codes)
            font, codes = wanted, bytearray()
        codes += letter.encode("cp1252", "replace") if symbol is None else bytes([symbol])
    yield font, bytes(codes)


def _line(line: Line, theme: Theme) -> Iterator[str]:
    stroke = STROKES[line.kind]
    colour = _colour(theme.colour(line.kind if not line.status else f"{line.status}-line"))
    yield f"{colour} RG {number(stroke.width)} w {_DASHES[stroke.style]}"
    bends = zip(line.path[1::3], line.path[2::3], line.path[3::3], strict=True)
    curves = " ".join(f"{' '.join(map(_point, bend))} c" for bend in bends)
    yield f"{_point(line.path[0])} m {curves} S"
    yield _DASHES["solid"]
    paper = _colour(theme.colour("page"))
    for head, base, tip in (
        (stroke.head, line.path[-1], line.end),
        (stroke.tail, line.path[0], line.start),
    ):
        one = mark(head, base, tip)
        if one is not None:
            yield f"1 w {colour if one.filled else paper} rg {_mark(one)} B"


def _mark(one: Mark) -> str:
    if not one.radius:
        first, *rest = map(_point, one.points)
        return " ".join([f"{first} m", *(f"{point} l" for point in rest), "h"])
    ((x, y),), r, c = one.points, one.radius, one.radius * 0.55
    bends = (
        ((x + c, y - r), (x + r, y - c), (x + r, y)),
        ((x + r, y + c), (x + c, y + r), (x, y + r)),
        ((x - c, y + r), (x - r, y + c), (x - r, y)),
        ((x - r, y - c), (x - c, y - r), (x, y - r)),
    )
    return " ".join([f"{_point((x, y - r))} m", *(f"{' '.join(map(_point, b))} c" for b in bends)])


def _colour(code: str) -> str:
    return " ".join(number(int(code[at : at + 2], 16) / 255) for at in (1, 3, 5))


def _point(point: Point) -> str:
    return f"{number(point[0])} {number(point[1])}"
