"""The command line: `commands` declares it, each verb has a file, `failures` ends it."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line on `sys.argv`; end the process."""
    try:
        from nestgraph.cli.commands import app

        app(prog_name="nestgraph")
    except KeyboardInterrupt:  # before any command began, or after it ended
        sys.exit(130)
