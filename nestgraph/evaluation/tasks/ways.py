"""How tasks are carried out that need more than to train on rows and to score others."""

from __future__ import annotations

from nestgraph.evaluation.continual.stream import carry_out_stream, require_stream
from nestgraph.evaluation.long.curriculum import carry_out_lengths, require_lengths
from nestgraph.evaluation.procedures import procedure

procedure("continual", requires=require_stream)(carry_out_stream)
procedure("long", requires=require_lengths)(carry_out_lengths)
