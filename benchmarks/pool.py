"""Many trainings, several at a time: one that fails is noted, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import TypeVar

from benchmarks.failure import BenchmarkError
from nestgraph.errors import SpecError

T = TypeVar("T")


def train_all(tasks: Mapping[str, T], fill: Callable[[T], None], *, jobs: int) -> dict[str, str]:
    """Hand every task to `fill`, and says how it went.

    Args:
        tasks: by the name to print.
        fill: trains, and keeps what came of it.
        jobs: at a time.

    Returns:
        Why those failed that did, by name.

    Raises:
        KeyboardInterrupt: when it was interrupted; what was not begun is not begun any more.
    """
    failures: dict[str, str] = {}
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(fill, task): name for name, task in tasks.items()}
        try:
            for number, future in enumerate(as_completed(running), start=1):
                name, why = running[future], _failure(future)
                failures |= {name: why} if why else {}
                said = "failed" if why else "done"
                print(f"{number} of {len(tasks)}: {name}: {said}", flush=True)
        except KeyboardInterrupt:
            for future in running:
                future.cancel()
            raise
    return failures


def _failure(future: Future[None]) -> str:
    """Return why a training failed; empty if it didn't.

    Raises:
        KeyboardInterrupt: when it was interrupted.
    """
    error = future.exception()
    if error is None or isinstance(error, BenchmarkError | SpecError):
        return "" if error is None else str(error)
    raise error
