"""`python -m nestgraph` is the command line."""

from __future__ import annotations

from nestgraph.cli import main

main()
