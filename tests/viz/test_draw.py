"""`draw`: formats, files and errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nestgraph.language.spec import Spec, load
from nestgraph.viz import FORMATS, DrawError, draw


@pytest.fixture(scope="module")
def spec() -> Spec:
    return load("linear-attention-tiny")


def test_a_picture_is_svg_unless_asked_otherwise(spec: Spec) -> None:
    picture = draw(spec)
    assert isinstance(picture, str)
    assert picture.startswith("<?xml")


def test_a_png_is_bytes(spec: Spec) -> None:
    picture = draw(spec, format="png")
    assert isinstance(picture, bytes)
    assert picture.startswith(b"\x89PNG")


def test_dot_needs_no_program(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NESTGRAPH_DOT", "/no/such/dot")
    picture = draw(spec, format="dot")
    assert isinstance(picture, str)
    assert "digraph" in picture


@pytest.mark.parametrize("form", FORMATS)
def test_the_ending_of_a_path_names_the_format(spec: Spec, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"picture.{form.upper()}"
    assert draw(spec, path) == path
    expected = draw(spec, format=form)
    content = path.read_bytes()
    assert content == (expected if isinstance(expected, bytes) else str(expected).encode())
    assert list(tmp_path.iterdir()) == [path]


def test_a_format_comes_before_the_ending(spec: Spec, tmp_path: Path) -> None:
    path = tmp_path / "picture.txt"
    draw(spec, str(path), format="svg")
    assert path.read_text().startswith("<?xml")


def test_a_system_can_be_drawn_without_its_spec(spec: Spec) -> None:
    assert draw(spec.system) == draw(spec)


@pytest.mark.parametrize(("name", "told"), [("a.bmp", "`bmp`"), ("a", "the ending of")])
def test_an_unknown_format_is_named_with_those_there_are(
    spec: Spec, tmp_path: Path, name: str, told: str
) -> None:
    with pytest.raises(DrawError, match="give one of svg, png, pdf") as error:
        draw(spec, tmp_path / name)
    assert told in str(error.value)


def test_a_folder_that_does_not_exist_is_named(spec: Spec, tmp_path: Path) -> None:
    with pytest.raises(DrawError, match="No such file or directory") as error:
        draw(spec, tmp_path / "none" / "a.svg")
    assert "none/a.svg" in str(error.value)


def test_a_disk_that_fills_leaves_the_older_picture(spec: Spec, tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    path.write_text("older")
    code = (
        "import resource, signal, sys\n"
        "from nestgraph.language.spec import load\n"
        "from nestgraph.viz import DrawError, draw\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try:\n"
        f"    draw(load('linear-attention-tiny'), {str(path)!r})\n"
        "except DrawError as error:\n"
        '    sys.exit(0 if "can\'t be written" in str(error) else 1)\n'
        "sys.exit(2)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_drawing_never_imports_torch() -> None:
    code = (
        "import sys\n"
        "from nestgraph.language.spec import load\n"
        "from nestgraph.viz import draw\n"
        "draw(load('hope-tiny'), format='dot')\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
