"""Validators of annotations, built once: building one takes longer than a hundred uses of it."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import TypeAdapter


@cache
def adapter(annotation: Any) -> TypeAdapter[Any]:
    """Return the validator of an annotation of the schema."""
    return TypeAdapter(annotation)
