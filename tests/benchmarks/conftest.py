"""Makes `benchmarks` importable, which is never installed."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

# Last on the path, so that the half of the package that lies there never hides an installed one.
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))
