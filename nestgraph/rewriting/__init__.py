"""Specs made from specs: each memory without its learning, or a rule without one of its parts.

A rewriting works on the resolved form, in which vars are filled in and `extends` and `like` are
spelled out, and gives an ordinary spec: it checks, prints, draws and compiles like any other.
"""

from nestgraph.rewriting.ablations import ABLATIONS, Ablation, ablated
from nestgraph.rewriting.rates import rates_off
from nestgraph.rewriting.sizing import Measure, Sized, as_large, static_as_large
from nestgraph.rewriting.static import static

__all__ = [
    "ABLATIONS",
    "Ablation",
    "Measure",
    "Sized",
    "ablated",
    "as_large",
    "rates_off",
    "static",
    "static_as_large",
]
