"""The live page: it follows saves, and keeps the last good picture of a broken spec."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nestgraph.language import zoo
from nestgraph.viz.live.serve import Server
from nestgraph.viz.live.watch import Watched

pytestmark = pytest.mark.browser

MOST = 0.3  # seconds from a save to the picture


@pytest.fixture
def path(tmp_path: Path) -> Path:
    shipped = zoo.path("hope")
    assert shipped is not None
    path = tmp_path / "hope.yaml"
    path.write_text(shipped.read_text())
    return path


@pytest.fixture
def server(path: Path) -> Iterator[Server]:
    server = Server([Watched(name=name, changes={}) for name in (str(path), "transformer-tiny")])
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server
    server.closing = True
    thread.join(5)


def redrawn(page: Any, path: Path, text: str, seen: str) -> float:
    """Return seconds from the save of a text to the moment at which the page shows something."""
    start = time.perf_counter()
    path.write_text(text)
    page.wait_for_function(
        "seen => document.querySelector('.sheet').textContent.includes(seen)", arg=seen
    )
    return time.perf_counter() - start


@pytest.mark.timed
def test_a_save_shows_within_a_third_of_a_second(opened: Any, server: Server, path: Path) -> None:
    page = opened(server.address)
    good = path.read_text()
    times = [
        redrawn(page, path, good.replace("chunk: 16 ", f"chunk: {chunk} "), f"every {chunk} tokens")
        for chunk in (21, 22, 23, 24)
    ]
    assert min(times) < MOST, times


def test_several_specs_stand_side_by_side(opened: Any, server: Server) -> None:
    page = opened(server.address)
    assert page.locator(".sheet h2").all_text_contents() == ["hope", "transformer-tiny"]
    left, right = (page.locator(".sheet").nth(at).bounding_box() for at in (0, 1))
    assert left["x"] + left["width"] <= right["x"]


def test_a_broken_spec_keeps_its_picture_and_recovers(
    opened: Any, server: Server, path: Path
) -> None:
    page = opened(server.address)
    good = path.read_text()
    sheet = page.locator(".sheet").first
    boxes = sheet.locator("svg .node").count()
    redrawn(page, path, good.replace("query: c_v", "query: c_w"), "did you mean")
    problems = sheet.locator(".problems").inner_text()
    assert "NG201" in problems
    assert "^^^" in problems
    assert "last good picture" in problems
    assert sheet.locator("svg .node").count() == boxes
    redrawn(page, path, good.replace("chunk: 16 ", "chunk: 48 "), "every 48 tokens")
    assert sheet.locator(".problems").is_hidden()


def test_a_redraw_leaves_view_place_and_choice_alone(
    opened: Any, server: Server, path: Path
) -> None:
    page = opened(server.address)
    sheet = page.locator(".sheet").first
    sheet.get_by_role("tab", name="block").click()
    sheet.locator(".canvas").focus()
    page.keyboard.press("+")
    sheet.locator("svg .node.read").first.click()
    title = sheet.locator(".panel h3").first.inner_text()
    style = sheet.locator(".stage").get_attribute("style")
    redrawn(page, path, path.read_text().replace("width: 4", "width: 5"), "conv, width 5")
    assert sheet.locator("[role=tab][aria-selected=true]").inner_text() == "block"
    assert sheet.locator(".stage").get_attribute("style") == style
    assert sheet.locator(".panel h3").first.inner_text() == title
    assert sheet.locator("svg .chosen").count() == 1


def test_the_page_says_when_the_server_has_gone(opened: Any, server: Server) -> None:
    page = opened(server.address, expect_errors=True)
    server.closing = True
    page.wait_for_function("() => document.getElementById('link').textContent.includes('ended')")
