"""The elaborated form of a spec: what every executor, check and picture reads.

Elaboration has inlined blocks, applied `vars`, `with`, `like` and defaults, and spelled out
`then` chains, so that nothing here needs the file any more except its spans.

Names. A *flat block* is one item of the model's stack with its inner blocks inlined. Its flows
and memories carry dotted names (`a.q` is node `q` of the block that node `a` instantiates).
A node with a `then` chain becomes several: the first is called `q.base`, those between
`q.then0`, `q.then1`, ..., and the last one is `q` itself, so `q` always names the finished flow.
Parameters hang on `Node.owner`: `q` for the node itself, `q.then0` for the first op of its chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nestgraph.errors import Span

Unit = Literal["tokens", "steps", "never"]
Per = Literal["head", "value", "key", "cell"]
At = Literal["after", "before", "boundary"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """How often the memories of a level commit: every `period` of its unit."""

    name: str  # as the author calls it: "context", "token", "step", "never"
    unit: Unit
    period: int  # 1 for `token` and `step`, 0 for `never`
    span: Span | None = None


TOKEN = Clock(name="token", unit="tokens", period=1)
STEP = Clock(name="step", unit="steps", period=1)
NEVER = Clock(name="never", unit="never", period=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Coefficient:
    """A rate: exactly one of `number`, `numbers` (one a head) and `flow` is set."""

    number: float | None = None
    numbers: tuple[float, ...] | None = None
    flow: str | None = None
    per: Per = "head"
    span: Span | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Net:
    """The function that a memory's state parametrises. Fields of other kinds keep defaults."""

    kind: Literal["linear", "mlp", "attention", "vector"]
    layers: int = 2
    expansion: float = 4
    activation: str = "silu"  # silu | gelu | gelu_tanh | relu | sigmoid | tanh
    gated: bool = False
    bias: bool = False
    norm: Literal["none", "layer_norm", "rms_norm"] = "none"
    residual: bool = False
    out: int | None = None
    window: int | None = None
    span: Span | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    kind: Literal["dot", "l2", "huber", "lp", "task"]
    scale: float = 1.0
    window: int = 1
    delta: Coefficient | None = None  # huber
    switch: Literal["channel", "norm"] = "channel"  # huber: what passes `delta`
    p: float | None = None  # lp
    through: str | None = None  # task, in optimizers
    span: Span | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Erase:
    where: Literal["none", "key", "layers"] = "none"
    key: str | None = None  # a flow, when the erase key is not the write key
    rate: Coefficient | None = None  # None: the memory's own (implicit) rate
    span: Span | None = None


ONE = Coefficient(number=1.0)
ZERO = Coefficient(number=0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    rate: Coefficient = ONE
    momentum: Coefficient = ZERO
    retain: Coefficient = ONE
    retain_first: bool = False
    towards: Literal["zero", "init"] = "zero"  # where a state that isn't kept goes
    erase: Erase = Erase()
    implicit: bool = False
    direction: Literal["gradient", "newton_schulz"] = "gradient"
    direction_steps: int = 5
    step: Coefficient = ONE
    mirror: Literal["none", "softmax", "lq"] = "none"
    mirror_q: float | None = None
    reduce: str = "sum"  # "sum", "mean", or a flow when `reduce_is_flow`
    reduce_is_flow: bool = False
    spans: Mapping[str, Span] = field(default_factory=dict)  # by field, where written


@dataclass(frozen=True, kw_only=True, slots=True)
class Init:
    kind: Literal["learned", "zero", "identity", "fixed", "from", "given", "checkpoint"]
    std: float | None = None  # None: 1/sqrt(fan-in) for matrices, 0 for biases
    last: float | None = None  # of the last layer's matrix; None: `std`
    entries: int | None = None
    memory: str | None = None  # flat name, for kind "from"
    path: str | None = None  # of the file, for kind "checkpoint"
    keys: tuple[str, ...] = ()  # in it: a memory, or its tensors; none: as the memory is called
    span: Span | None = None  # of the path for kind "checkpoint"


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """An associative memory. Widths are totals over heads; None where a spec can't know them."""

    name: str  # flat name
    net: Net
    heads: int
    level: Clock
    keys: tuple[str, ...]  # flat flow names; several = several events a position
    values: tuple[str, ...]
    self_values: bool  # values are the memory's own answers to these flows
    objective: Objective
    rule: Rule
    init: Init
    reset: Clock  # NEVER when it never resets
    gradient: Literal["full", "first_order", "none"]
    key_width: int | None = None
    value_width: int | None = None
    span: Span | None = None
    spans: Mapping[str, Span] = field(default_factory=dict)  # by field, where written
    written: frozenset[str] = frozenset()  # the fields that the author wrote (or took by `like`)

    @property
    def is_step_group(self) -> bool:
        """A `task` memory on steps is a group of the outer optimizer, not an inner memory."""
        return self.objective.kind == "task" and self.level.unit == "steps"

    @property
    def is_online(self) -> bool:
        """A `task` memory that isn't on steps: each sequence has its own state of it."""
        return self.objective.kind == "task" and self.level.unit != "steps"


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """An op without memory of the context, or with a short cache (conv)."""

    name: str  # the flow that it makes
    owner: str  # prefix of its parameters
    op: str
    inputs: tuple[str, ...]
    fields: Mapping[str, object]  # the op's own fields, defaults filled in (not `in`, `then`)
    tie: str | None = None  # owner whose parameters it shares
    width: int | None = None
    span: Span | None = None
    spans: Mapping[str, Span] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """Asks a memory."""

    name: str
    owner: str
    memory: str
    query: str | None
    at: At
    width: int | None = None
    span: Span | None = None
    spans: Mapping[str, Span] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """Which flat names came from which inner block; pictures draw it as a frame."""

    prefix: str  # "a" for names "a.*"; "" for the item of the stack itself
    block: str  # the block's name in the file
    span: Span | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FlatBlock:
    """One item of the stack with its inner blocks inlined. Repeats share one object."""

    name: str
    inputs: tuple[str, ...]  # flow names offered from outside: ("x",) in models
    memories: Mapping[str, Memory]
    nodes: Mapping[str, Node | Read]
    output: str | None  # a flow (may be an input); None in optimizers that update `param`
    regions: tuple[Region, ...] = ()
    span: Span | None = None

    @property
    def parts(self) -> dict[str, Memory | Node | Read]:
        """Its memories and its nodes, by name."""
        return {**self.memories, **self.nodes}


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One instance in the stack. `path` prefixes its parameters and states: `3.hope`."""

    path: str
    block: FlatBlock


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    vocab: int
    width: int
    layers: tuple[Layer, ...]
    norm: str | None  # "rms_norm", "layer_norm" or None
    tie_head: bool
    horizon: Clock | None = None  # at whose ticks gradients are cut; None: not said
    head_out: int | None = None  # scores of the head; None: one for each token
    span: Span | None = None
    spans: Mapping[str, Span] = field(default_factory=dict)  # by field, where written

    @property
    def classes(self) -> int:
        """Return how many scores it answers with."""
        return self.vocab if self.head_out is None else self.head_out


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """One entry of an optimizer's list: which parameters, and what updates them."""

    kind: (
        str  # linear_maps | hidden_matrices | matrices | vectors | embeddings | head | ... | names
    )
    names: str | None  # the glob, for kind "names"
    block: FlatBlock | None
    spec: str | None  # another optimizer by name
    span: Span | None = None
    place: Span | None = None  # of that name
    vars: Mapping[str, object] = field(default_factory=dict)  # of that optimizer
    lr: float = 1.0  # factor of the learning rate
    system: System | None = None  # that optimizer, once `nestgraph.language.references` has read it


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """How the outermost level learns. Command line beats file beats these defaults."""

    optimizer: str = "adamw"  # by name; what it is, or one written out, is `system`
    lr: float = 1e-3
    min_lr: float = 1e-4  # cosine floor
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.1
    warmup: int = 100  # steps
    clip: float = 1.0  # gradient norm; 0 = off
    steps: int = 2000
    batch: int = 12
    context: int = 64  # tokens
    val_interval: int = 250  # steps
    seed: int = 0
    data: str = "shakespeare"
    bad_steps: int = 10  # gradients in a row that may be no numbers
    spans: Mapping[str, Span] = field(default_factory=dict)
    system: System | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class System:
    """A whole spec. Exactly one of `model` and `optimizer` is set."""

    name: str
    doc: str
    clocks: Mapping[str, Clock]  # declared levels and the three built-in ones
    model: Model | None
    optimizer: tuple[Group, ...] | None
    training: Training
