"""Shared by all tests: golden files, and the Hypothesis profile.

`pytest --refresh-golden` writes the golden files instead of comparing with them.
"""

from __future__ import annotations

import difflib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Found before `tests` joins the path below, where a folder of the same name lies: the finder of
# an editable install comes after the path.
import nestgraph  # noqa: F401

# Before torch is imported, here and in the processes that tests start: the tensors are small, and
# on a busy machine threads that wait for each other make a test a hundred times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background, or `nohup`, lets them ignore Ctrl-C and hangups,
# which some tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

TESTS = Path(__file__).parent
GOLDEN = TESTS / "golden"

# Last on the path, so that `strategies` is found and `tests/nestgraph` never hides the package.
if str(TESTS) not in sys.path:
    sys.path.append(str(TESTS))

# A machine under load isn't a failure, and nothing is left behind in the checkout.
settings.register_profile(
    "nestgraph",
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("nestgraph")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch that renews golden files."""
    parser.addoption(
        "--refresh-golden", action="store_true", help="write the golden files of the tests that run"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Return `golden(name, text)` holds `text` against `tests/golden/name`."""
    refresh: bool = request.config.getoption("--refresh-golden")

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if refresh:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        kept = path.read_text(encoding="utf-8") if path.exists() else ""
        if kept != text:
            difference = difflib.unified_diff(
                kept.splitlines(), text.splitlines(), f"golden/{name}", "now", lineterm=""
            )
            shown = "\n".join(difference)
            pytest.fail(f"{shown}\nIf the change is meant: pytest --refresh-golden", pytrace=False)

    return compare
