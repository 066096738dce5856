"""A real browser for the pages: Chromium of the system, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nestgraph.language.spec import load
from nestgraph.viz import draw

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZE = {"width": 1300, "height": 850}

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Return the browser itself, once for all tests."""
    from playwright.sync_api import sync_playwright

    program = os.environ.get("NESTGRAPH_CHROMIUM") or shutil.which("chromium")
    assert program is not None, "these tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any) -> Iterator[Open]:
    """Open an address in a fresh tab; nothing may go wrong in it, and nothing leave it."""
    contexts: list[Any] = []
    wrong: list[str] = []

    def open_page(address: str, scheme: str = "light", expect_errors: bool = False) -> Any:
        context = chromium.new_context(viewport=SIZE, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        if not expect_errors:
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda said: wrong.append(said.text))
        here = address.split("?")[0]
        page.on("request", lambda one: None if one.url.startswith(here) else wrong.append(one.url))
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture(scope="session")
def hope_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the page of Hope as a file."""
    path = tmp_path_factory.mktemp("page") / "hope.html"
    draw(load("hope"), path)
    return path.as_uri()


@pytest.fixture
def page_of(tmp_path: Path) -> Callable[[str], str]:
    """Return the page of a spec's text as a file."""

    def made(text: str) -> str:
        from building import spec_of

        path = tmp_path / "page.html"
        draw(spec_of(text), path)
        return path.as_uri()

    return made
