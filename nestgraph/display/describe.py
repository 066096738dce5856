"""Memories in a few words, for graphs and pictures: net, objective, rule, first state.

Names of flows stand as in the file, without the prefix of the inner block that holds them.
"""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.language.system import Coefficient, Erase, Memory, Net, Objective, Rule

_LISTED = 4  # numbers of a list that are written out


def aim(vocab: int, classes: int) -> str:
    """Return what a model is trained to answer: its next token, or classes that its data says."""
    return "next token" if classes == vocab else "targets"


def local(name: str) -> str:
    """Return a flat name as the author wrote it: `k` for `a.k`."""
    return name.rsplit(".", 1)[-1]


def number_text(number: float) -> str:
    """Return a number in as few digits as tell it, up to 15: `0.1` (also for 1 - 0.9), `1e-08`."""
    short = f"{number:g}"
    return short if float(short) == number else f"{number:.15g}"


def coefficient_text(coefficient: Coefficient, listed: int | None = _LISTED) -> str:
    """Return `eta`, `0.01`, `[0.5, 0.75]` or `w per key`; of a list at most so many numbers."""
    if coefficient.flow is not None:
        per = "" if coefficient.per == "head" else f" per {coefficient.per}"
        return local(coefficient.flow) + per
    if coefficient.numbers is not None:
        shown = coefficient.numbers[:listed]
        rest = ", ..." if len(shown) < len(coefficient.numbers) else ""
        return f"[{', '.join(map(number_text, shown))}{rest}]"
    return number_text(coefficient.number or 0)


def net_text(net: Net, heads: int = 1) -> str:
    """Return `mlp, 2 layers x4, silu, residual, 4 heads`."""
    return ", ".join([net.kind, *_net_parts(net), *([f"{heads} heads"] if heads > 1 else [])])


def _net_parts(net: Net) -> Iterator[str]:
    if net.kind == "mlp":
        yield f"{net.layers} layer{'s' if net.layers > 1 else ''} x{number_text(net.expansion)}"
        yield f"gated {net.activation}" if net.gated else net.activation
        if net.bias:
            yield "bias"
        if net.norm != "none":
            yield net.norm
        if net.residual:
            yield "residual"
    if net.out is not None:
        yield f"out {net.out}"
    if net.window is not None:
        yield f"window {net.window}"


def objective_text(memory: Memory) -> str:
    """Return `l2, scale 2, window 8`."""
    if memory.net.kind == "attention":
        return "l2, softmax-weighted"  # the regression that attention solves afresh every token
    objective = memory.objective
    return ", ".join([objective.kind, *_objective_parts(objective)])


def _objective_parts(objective: Objective) -> Iterator[str]:
    if objective.through is not None:
        yield f"through {local(objective.through)}"
    if objective.p is not None:
        yield f"p {number_text(objective.p)}"
    if objective.delta is not None:
        yield f"delta {coefficient_text(objective.delta)}"
    if objective.switch != "channel":
        yield f"by {objective.switch}"
    if objective.scale != 1:
        yield f"scale {number_text(objective.scale)}"
    if objective.window != 1:
        yield f"window {objective.window}"


def rule_text(memory: Memory) -> str:
    """Return `rate eta, retain alpha, erase key, implicit`; only what differs from the defaults."""
    if memory.net.kind == "attention":
        return "keep every event" if memory.net.window is None else "keep the last events"
    if memory.is_step_group and memory.init.kind != "given":
        return "the outer optimizer's"
    return ", ".join(_rule_parts(memory.rule))


def _rule_parts(rule: Rule) -> Iterator[str]:
    yield f"rate {coefficient_text(rule.rate)}"
    if rule.momentum.number != 0:
        yield f"momentum {coefficient_text(rule.momentum)}"
    if rule.direction != "gradient":
        yield f"{rule.direction} {rule.direction_steps}"
    if rule.step.number != 1:
        yield f"step {coefficient_text(rule.step)}"
    if rule.retain.number != 1:
        first = " first" if rule.retain_first else ""
        yield f"retain {coefficient_text(rule.retain)}{first}{towards_text(rule)}"
    if rule.erase.where != "none" or rule.erase.key is not None:
        yield _erase_text(rule.erase)
    if rule.implicit:
        yield "implicit"
    if rule.mirror != "none":
        q = "" if rule.mirror_q is None else f" {number_text(rule.mirror_q)}"
        yield f"mirror {rule.mirror}{q}"
    if rule.reduce_is_flow or rule.reduce != "sum":
        yield f"reduce {local(rule.reduce)}"


def towards_text(rule: Rule) -> str:
    """Return ` towards init` behind a retention that pulls there."""
    return "" if rule.towards == "zero" else f" towards {rule.towards}"


def _erase_text(erase: Erase) -> str:
    under = f" {local(erase.key)}" if erase.key is not None else ""
    rate = f" rate {coefficient_text(erase.rate)}" if erase.rate is not None else ""
    where = "key" if erase.where == "none" else erase.where
    return f"erase {where}{under}{rate}"


def init_text(memory: Memory) -> str:
    """Return `learned`, `from F_start`, `fixed, std 0.02`."""
    init = memory.init
    if memory.net.kind == "attention" and init.entries is None:
        return "empty"
    if init.kind == "from" and init.memory is not None:
        return f"from {local(init.memory)}"
    if init.kind == "checkpoint":
        return f"checkpoint {init.path}" + (f", {', '.join(init.keys)}" if init.keys else "")
    std = f", std {init.std:.3g}" if init.std is not None else ""
    std += f", last {init.last:.3g}" if init.last is not None else ""
    entries = f", {init.entries} entries" if init.entries is not None else ""
    return f"{init.kind}{std}{entries}"


def values_text(memory: Memory) -> str:
    """Return `v`, or `self(v)` where the memory makes its own target."""
    names = ", ".join(local(value) for value in memory.values)
    return f"self({names})" if memory.self_values else names
