"""What a training prints is the words as they are, and acts on no terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from nestgraph.training.telling import tell


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_of_a_name_acts_on_the_terminal(terminal: bool) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=20)

    tell(console, "[red]a\x1b[2J\x9b\u202e" + "x" * 40 + "\nsecond 12")

    assert file.getvalue() == "[red]a\\u001b[2J\\u009b\\u202e" + "x" * 40 + "\nsecond 12\n"
