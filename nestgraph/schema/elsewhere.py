"""Where a key stands that has been written in the wrong place."""

from __future__ import annotations

from pydantic import BaseModel

from nestgraph.recovery.habits import meant_by
from nestgraph.schema import file, memory
from nestgraph.schema.follow import known_keys

HOLDERS: dict[str, type[BaseModel]] = {
    "`training`": file.Training,
    "`model`": file.Model,
    "`embed` of `model`": file.Embed,
    "an item of `stack` of `model`": file.StackBlock,
    "a memory": memory.Memory,
    "`rule` of a memory": memory.Rule,
    "`net` of a memory": memory.MlpNet,
    "a block": file.Block,
    "a group of `optimizer`": file.BlockGroup,
    "the file itself, at its top": file.SpecFile,
}


def elsewhere(key: str, here: type[BaseModel] | None) -> str:
    """Return a hint that names the mapping which has a key, itself or by another word; empty if
    none.
    """
    for place, holder in HOLDERS.items():
        keys = known_keys(holder)
        names = [name for name in (key, *meant_by(key)) if name in keys]
        if holder is not here and names:
            return f"`{names[0]}` stands in {place}"
    return ""
