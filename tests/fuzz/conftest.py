"""How much the fuzz and fault suites try, with which seed, and what they say at the end.

`pytest -m slow tests/fuzz` tries a tenth; `NESTGRAPH_FUZZ=full` all of it. The seed is new each
time and printed; `NESTGRAPH_SEED=N` repeats a run.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

TOLD = pytest.StashKey[list[str]]()


@dataclass(frozen=True, kw_only=True)
class Fuzz:
    """The size and the seed of a suite, and the lines of its summary."""

    full: bool
    seed: int
    lines: list[str] = field(default_factory=list)

    def amount(self, full: int) -> int:
        """Return how many to try of a suite whose full size is `full`."""
        return full if self.full else max(1, full // 10)

    def tell(self, line: str) -> None:
        """Add a line to the summary that pytest prints at its end."""
        self.lines.append(line)


@pytest.fixture
def fuzz(request: pytest.FixtureRequest) -> Iterator[Fuzz]:
    """Return the size and seed that the environment asks for."""
    seed = int(os.environ.get("NESTGRAPH_SEED") or random.SystemRandom().randrange(2**31))
    made = Fuzz(full=os.environ.get("NESTGRAPH_FUZZ") == "full", seed=seed)
    print(f"seed {seed}")  # shown where the test fails
    yield made
    told = request.config.stash.setdefault(TOLD, [])
    size = "full" if made.full else "a tenth"
    told.append(f"{request.node.name} ({size}, seed {seed})")
    told.extend(f"  {line}" for line in made.lines)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what the suites have told."""
    told = config.stash.get(TOLD, [])
    if not told:
        return
    terminalreporter.section("fuzz and faults")
    for line in told:
        terminalreporter.write_line(line)
