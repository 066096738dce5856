"""The schema of the language: models of concrete values, and their JSON schema."""

from __future__ import annotations

from nestgraph.schema.base import FlowCoefficient as FlowCoefficient
from nestgraph.schema.base import FlowRetention as FlowRetention
from nestgraph.schema.base import NumberRetention as NumberRetention
from nestgraph.schema.check_nodes import CheckedNode as CheckedNode
from nestgraph.schema.check_nodes import check_node as check_node
from nestgraph.schema.file import Block as Block
from nestgraph.schema.file import BlockGroup as BlockGroup
from nestgraph.schema.file import SpecFile as SpecFile
from nestgraph.schema.file import SpecGroup as SpecGroup
from nestgraph.schema.file import StackBlock as StackBlock
from nestgraph.schema.file import StackGroup as StackGroup
from nestgraph.schema.file import Training as Training
from nestgraph.schema.memory import Memory as Memory
from nestgraph.schema.nodes import AnyNode as AnyNode
from nestgraph.schema.nodes import BlockNode as BlockNode
from nestgraph.schema.nodes import ReadNode as ReadNode
from nestgraph.schema.ops import OF_OPTIMIZERS as OF_OPTIMIZERS
from nestgraph.schema.ops import OPS as OPS
from nestgraph.schema.ops import Op as Op
from nestgraph.schema.validate import mended as mended
from nestgraph.schema.validate import mended_each as mended_each
from nestgraph.schema.validate import validate as validate


def __getattr__(name: str) -> object:
    # Loading a spec never needs the JSON schema, and describing all ops takes time.
    if name in ("json_schema", "schema_text"):
        from nestgraph.schema import export

        return getattr(export, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
