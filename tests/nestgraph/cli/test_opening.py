"""How commands open specs: `--set`, and messages with their lines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nestgraph import __version__
from nestgraph.cli.opening import open_spec, settings
from nestgraph.errors import Diagnostic, InputError, Span, SpecError


def test_changes_are_split_at_their_first_equals_sign() -> None:
    assert settings(["a.b=1", "c = x=y"]) == {"a.b": "1", "c": " x=y"}
    assert settings(["a=1", "a=2"]) == {"a": "2"}


@pytest.mark.parametrize("change", ["a.b", "=1", " =1", ""])
def test_a_change_that_sets_nothing_is_explained(change: str) -> None:
    with pytest.raises(InputError, match=r"NG802.*write `--set PATH=VALUE`"):
        settings([change])


def test_an_empty_value_is_left_to_the_language(write) -> None:
    with (
        pytest.raises(SpecError, match=r"--set vars\.width="),
        open_spec(str(write()), ["vars.width="]),
    ):
        pass


def test_findings_met_later_get_the_lines_of_the_spec(write) -> None:
    path = str(write())
    place = Span(file=path, line=9, column=7)
    with pytest.raises(SpecError) as caught:  # noqa: SIM117 -- what is opened must not raise
        with open_spec(path, []):
            raise SpecError([Diagnostic(code="NG901", message="later", span=place)])
    assert str(caught.value).endswith("^")


def test_the_package_runs_as_a_module() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "nestgraph", "--version"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"nestgraph {__version__}\n"
