"""The lowered model: an `nn.Module` whose layers are emitted straight-line code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nestgraph import ops
from nestgraph.compiler.executor.load import load_source
from nestgraph.compiler.executor.moves import Moves
from nestgraph.compiler.executor.pieces import Prepared
from nestgraph.compiler.executor.segments import Segments
from nestgraph.compiler.executor.states import flatten_state
from nestgraph.compiler.executor.transforms import without_transforms
from nestgraph.compiler.executor.trees import tensors
from nestgraph.compiler.ir import Program
from nestgraph.compiler.online_memories import fast_ops
from nestgraph.compiler.planning import plan_of
from nestgraph.errors import InputError
from nestgraph.runtime.labels import labels_of, mean_nats, require_targets
from nestgraph.runtime.output import HiddenOutput, Output
from nestgraph.runtime.tokens import Rows, require_precision, rows_of
from nestgraph.runtime.weights import Weights
from nestgraph.runtime.write_masks import mask_of, unwritten

AT_ANY_PRECISION = {"attention", "static"}  # kernels that keep no state but what they were given
COUNTED = {"position"}  # ops whose numbers grow with the text, beyond what 16 bits can count
LayerCode = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]


class CompiledModel(nn.Module):
    """A model that a spec describes, compiled.

    `model(tokens, state)` answers with `Output(logits, state)`. Whole sequences train in
    parallel; pieces stream with the state that the last piece returned, with the same numbers
    for any split; one token at a time decodes.

    Attributes:
        weights: the parameters, under the names of the parameter table.
        program: the scheduled IR that was lowered.
        source: the Python that runs.
    """

    def __init__(self, program: Program, weights: Weights, source: str) -> None:
        super().__init__()
        self.weights = weights
        self.program = program
        self.source = source
        self._layers = _layer_code(program, load_source(source))
        kernels = {m.kernel for f in plan_of(program).functions for m in f.memories}
        nodes = {op.kind for function in program.functions for op in function.ops}
        self._runs_mixed = kernels <= AT_ANY_PRECISION and not nodes & COUNTED
        self._segments = Segments(self) if any(fast_ops(program)) else None

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the loaded code, whose functions nobody can import by name."""
        return {name: value for name, value in self.__dict__.items() if name != "_layers"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Load the code again from its source."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]  # torch has no type for it
        self._layers = _layer_code(self.program, load_source(self.source))

    def initial_state(self, batch: int) -> dict[str, Any]:
        """Return the state before the first token: a tree of tensors, float32 or wider."""
        layers = self._first(self.prepared(), batch)
        state = {"position": torch.zeros((), dtype=torch.long), "layers": layers}
        if self._segments is not None:
            state["open"] = self._segments.initial(layers, batch)
        return state

    @property
    def learns(self) -> bool:
        """Return whether it has memories that take gradients of their own while it reads."""
        return self._segments is not None

    @without_transforms
    def forward(
        self,
        tokens: Tensor,
        state: Mapping[str, Any] | None = None,
        *,
        targets: Tensor | None = None,
        write_mask: Tensor | None = None,
        hidden: bool = False,
        scored: bool = False,
    ) -> Output | HiddenOutput | tuple[Tensor, dict[str, Any]]:
        """Return scores of the next token at every position.

        Args:
            tokens: (batch, time) whole numbers below the vocabulary's size. A row that ends
                earlier than others is filled up with -1, which is not read.
            state: what the call before returned; None at the beginning of a sequence.
            targets: (batch, time) what memories that the task moves should have answered at each
                position, -100 where nothing counts. They learn from it once the next token is
                read, so that no score knows its own target or a later one. Without, the label of
                a position is the next token.
            write_mask: (batch, time) whether memories are written at each position; None: at all.
                Other positions are read and counted, and change no memory.
            hidden: whether to answer with what the head was given, too: a `HiddenOutput`.
            scored: for `loss` alone, which asks a model with a horizon for its loss this way: in
                a call of the module, so that hooks see what it is fed.

        Returns:
            logits (batch, time, vocab), or as many as the head has, 0 where a row has no token,
            and the state behind the last token. Where rows end at different lengths, nothing goes
            on from that state.

        Raises:
            InputError: tokens, what lies beside them, state or precision are none that the model
                can run with; or it runs inside a transform of `torch.func` or a forward-mode
                derivative.
        """
        rows = self._rows(tokens, state)
        if targets is not None:
            require_targets(targets, tokens, self.program.classes)
        written = mask_of(write_mask, rows)
        before = self.initial_state(len(tokens)) if state is None else state
        if rows.tokens.numel() == 0:
            answer = rows.answer(self._nothing(rows.tokens, before))
            return (answer.logits.sum(), answer.state) if scored else answer.asked(hidden=hidden)
        of_tokens = self.program.classes == self.program.vocab
        labels = labels_of(targets, rows.tokens, of_tokens=of_tokens)
        if scored:
            assert self._segments is not None, "which alone has a loss of its own"
            mean, after = self._segments.loss(rows.tokens, labels, written, before)
            return mean, rows.marked(after)
        if self._segments is not None:
            taught = unwritten(labels, written)
            answer = rows.answer(self._segments.run(rows.tokens, taught, written, before))
            return answer.asked(hidden=hidden)
        start, prepared = int(before["position"]), self.prepared()
        read = rows.tokens.clamp(min=0)
        x_BTW, layers = self.piece(prepared, read, before["layers"], start, written)
        after = {"position": torch.tensor(start + read.shape[1]), "layers": layers}
        answer = rows.answer(HiddenOutput(self.scores(prepared, x_BTW), after, x_BTW))
        return answer.asked(hidden=hidden)

    def loss(
        self,
        tokens: Tensor,
        targets: Tensor,
        state: Mapping[str, Any] | None = None,
        *,
        write_mask: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Any]]:
        """Return mean nats over the targets, 0 where there are none, and the state behind the
        tokens.

        Memories that the task moves learn from the targets, too, each behind its own position.
        The gradient is that of `forward`; but where the model has a horizon, each of its windows
        is forgotten as soon as it is run, and the state before is a constant.

        Args:
            tokens: (batch, time); negative ones are padding.
            targets: (batch, time); -1 and -100 count nowhere.
            state: what the call before returned; None at the beginning of a sequence.
            write_mask: (batch, time) whether memories are written at each position; what isn't
                written counts in this loss all the same.

        Raises:
            InputError: as `forward`.
        """
        cut = self._segments is not None and self._segments.ticks.horizon > 0
        if cut and torch.is_grad_enabled() and tokens.numel():
            beside = {"targets": targets, "write_mask": write_mask}
            mean, behind = self(tokens, state, **beside, scored=True)
            return mean, behind
        logits, after = self(tokens, state, targets=targets, write_mask=write_mask)
        return mean_nats(logits, targets), after

    def _rows(self, tokens: Tensor, state: Mapping[str, Any] | None) -> Rows:
        like = cast(Tensor, self.weights.get_submodule("embed").weight)
        require_precision(like.dtype, like.device.type, mixed=self._runs_mixed)
        rows = rows_of(tokens, self.program.vocab, state)
        held = next((len(x) for x in tensors(state["layers"]) if x.ndim), None) if state else None
        if held is not None and held != len(rows.tokens):  # one row might be shared by all
            said = f"the state is of {held} rows, the tokens have {len(rows.tokens)}"
            raise InputError("NG737", said, "go on with each sequence from its own state")
        return rows

    def _nothing(self, tokens: Tensor, before: Mapping[str, Any]) -> HiddenOutput:
        """Return the answer to no rows, or to no tokens: nothing is read, so that only time
        passes.
        """
        params = dict(self.weights.named())
        x_BTW = self._norm(F.embedding(tokens.clamp(min=0), params["embed.weight"]), params)
        position = torch.tensor(int(before["position"]) + tokens.shape[1])
        logits = self.scores((params, {}), x_BTW)
        return HiddenOutput(logits, {**before, "position": position}, x_BTW)

    def moves(self, state: Mapping[str, Any]) -> dict[str, Moves]:
        """Return what the levels that the task moves have done, by name; nothing if there are
        none.
        """
        if self._segments is None:
            return {}
        return self._segments.moves(state)

    def prepared(self, *, constant: bool = False) -> Prepared:
        """Return the parameters, as constants if wished, and the work of layers on them alone."""
        params: dict[str, Tensor] = dict(self.weights.named())
        if constant:
            params = {name: parameter.detach() for name, parameter in params.items()}
        like = params["embed.weight"]
        layers = self._layers.items()
        return params, {path: code[0](_local(params, path), like) for path, code in layers}

    def piece(
        self,
        prepared: Prepared,
        tokens: Tensor,
        layers: Mapping[str, Any],
        start: int,
        written: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Any]]:
        """Return what the head is given at some positions, and the layers' states behind them.

        The first of them is at absolute index `start`.
        `written` (batch, time) says which of them are; None: all.
        """
        params, weights = prepared
        x_BTW = F.embedding(tokens, params["embed.weight"])
        after: dict[str, Any] = {}
        for path, (_, _, run) in self._layers.items():
            x_BTW, after[path] = run(weights[path], x_BTW, layers[path], start, written)
        return self._norm(x_BTW, params), after

    def scores(self, prepared: Prepared, x_BTW: Tensor) -> Tensor:
        """Return what the head answers."""
        params, _ = prepared
        return F.linear(x_BTW, params["embed.weight" if self.program.tie_head else "head.weight"])

    def first_layers(self, prepared: Prepared, like: Mapping[str, Any]) -> dict[str, Any]:
        """Return the layers' states before the first token, for as many rows as a later state
        has.
        """
        return self._first(prepared, _rows(like))

    def _first(self, prepared: Prepared, batch: int) -> dict[str, Any]:
        params, weights = prepared
        x = params["embed.weight"].new_zeros(batch, 0, self.program.width)
        return {path: first(weights[path], x) for path, (_, first, _) in self._layers.items()}

    def flat_state(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return a state as tensors by name: `0.hope.a.M.A0` running, `.anchor0`, `.S0`, `.tail`,
        `.k`.
        """
        return flatten_state(self.program, state)

    def _norm(self, x_BTW: Tensor, params: Mapping[str, Tensor]) -> Tensor:
        if self.program.norm is None:
            return x_BTW
        if self.program.norm == "rms_norm":
            return ops.rms_norm(x_BTW, params["norm.gain"])
        return ops.layer_norm(x_BTW, params["norm.gain"], params["norm.shift"])


def _rows(layers: Mapping[str, Any]) -> int:
    fast = (
        x for states in layers.values() for x in states.values() if isinstance(x, ops.OnlineState)
    )
    return next(len(state.weights[0]) for state in fast)


def _layer_code(program: Program, names: Mapping[str, Any]) -> dict[str, LayerCode]:
    return {
        path: (names[f"prepare_{f.name}"], names[f"initial_{f.name}"], names[f"run_{f.name}"])
        for path, f in program.layers
    }


def _local(params: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    """Return a layer's parameters by their names within the layer."""
    prefix = f"{path}."
    return {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}
