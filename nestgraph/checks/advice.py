"""Warnings: specs that run, but hardly as their authors mean."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.checks.registry import Finding, Scope, memory_rule, system_rule
from nestgraph.language.system import Memory, System, Training
from nestgraph.shapes.flows import spot


@memory_rule("NG401", severity="warning")
def a_deep_memory_has_a_chunk(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Warn of an mlp that commits at every token: it is a scan over tokens."""
    if not scope.in_model or memory.net.kind != "mlp" or memory.objective.kind == "task":
        return
    if memory.level.unit == "tokens" and memory.level.period == 1:
        yield Finding(
            message=f"`{scope.label(memory.name)}` is an mlp on level `token`: "
            "it runs token by token, which is slow",
            hint="give it a `level` of several tokens, like `16 tokens`",
            span=spot(memory, "level"),
        )


@memory_rule("NG402", severity="warning")
def a_level_ticks_within_a_training_sequence(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Check that what only ever shows at a tick sees one."""
    level, context = memory.level, scope.system.training.context
    if not scope.in_model or level.unit != "tokens" or level.period < context:
        return
    waits = memory.objective.kind == "task"
    waits = waits or any(read.at == "boundary" for read in scope.reads.get(memory.name, ()))
    if waits and memory.net.kind != "attention":
        yield Finding(
            message=f"`{scope.label(memory.name)}` commits every {level.period} tokens and a "
            f"training sequence has {context}: it never ticks inside one",
            hint=f"raise `training.context` above {level.period}, or choose a faster level",
            span=spot(memory, "level"),
        )


@system_rule("NG405", severity="warning")
def training_fits_its_steps(system: System) -> Iterator[Finding]:
    """Report schedules that never reach what they promise; defaults alone are no one's mistake."""
    training = system.training
    if "warmup" in training.spans or "steps" in training.spans:
        yield from _longer(training, "warmup", "the learning rate never reaches `lr`")
    if "val_interval" in training.spans:
        yield from _longer(training, "val_interval", "nothing is measured on the way")


def _longer(training: Training, field: str, so: str) -> Iterator[Finding]:
    value: int = getattr(training, field)
    if value > training.steps:
        yield Finding(
            message=f"`{field}` (={value}) is longer than the {training.steps} `steps`: {so}",
            hint=f"write a `{field}` of at most {training.steps}",
            span=training.spans.get(field) or training.spans.get("steps"),
        )
