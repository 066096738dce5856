"""The reference interpreter: what a spec means, executed literally.

It runs token by token, at any floating-point type, and takes every inner gradient by autograd on
the declared objective. Clear before fast: compiled models are held against it, and it shares
nothing with them but the names and first numbers of the parameters. `docs/semantics.md` says in
prose what these files say in code; "§5" in a comment is its section 5.
"""

from __future__ import annotations

from nestgraph.reference.model import Reference
from nestgraph.reference.state import flat_state

__all__ = ["Reference", "flat_state"]
