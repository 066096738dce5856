"""`python benchmarks/run.py NAME`: the same, with the installed nestgraph where there is one."""

import sys
from pathlib import Path

# Python puts the folder of a script first. The checkout goes last instead, so that its half of
# the package does not hide the installed one.
sys.path[:1] = []
sys.path.append(str(Path(__file__).resolve().parent.parent))

from benchmarks.cli import main  # noqa: E402 - only now it can be found

main()
