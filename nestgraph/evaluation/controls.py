"""The controls that a model is measured against, each an ordinary spec made from its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nestgraph.rewriting import rates_off, static
from nestgraph.spec import Spec

Control = Callable[[Spec], Spec]

CONTROLS: Mapping[str, Control] = {"static": static, "rates-off": rates_off}
"""By their names on the command line; each raises NG955 where there is nothing to take away."""
