"""The MLP blocks of a Hugging Face causal language model on token clocks (extra `hf`).

Ad-hoc level stacking (arXiv 2512.24695, section 7.3): the blocks of a trained network start as they
are and move while it reads, each level of them by the sum of its period's losses,
θ ← θ − rate · dL/dθ. A rate of 0 is the network itself. Gradients are cut at every tick of the
fastest level, as with `model.horizon`; keys and values of attention are constants behind it.

The network is not changed: a state holds the moved weights, for one sequence. It grows with the
network's own cache of keys and values.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from nestgraph.errors import InputError, SpecError
from nestgraph.findings import Findings
from nestgraph.rewriting.stacking import StackedLevel, misfits
from nestgraph.runtime.output import Output

_MLP = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.(?:mlp|feed_forward|ffn)\.")
Cache = tuple[tuple[Tensor, Tensor], ...]  # keys and values of each layer


class StackedState(NamedTuple):
    """What one sequence remembers.

    Attributes:
        position: tokens read.
        weights: of the blocks on clocks, by the network's names.
        sums: their gradients over past windows of open periods.
        tokens: read since the last tick of the fastest level, (1, n).
        cache: keys and values before those.
    """

    position: int
    weights: Mapping[str, Tensor]
    sums: Mapping[str, Tensor]
    tokens: Tensor
    cache: Cache


class StackedModel(nn.Module):
    """A causal language model some of whose MLPs learn while it reads.

    Args:
        network: a Hugging Face causal language model, or one that is called alike.
        levels: the clocks; periods of slower ones are multiples of the fastest.

    Raises:
        SpecError: when levels don't fit together, or name layers that aren't there.
    """

    def __init__(self, network: nn.Module, levels: Sequence[StackedLevel]) -> None:
        super().__init__()
        self.network = network
        self.levels = tuple(sorted(levels, key=lambda level: level.period))
        blocks = _blocks(network)
        self._rates = _rates(self.levels, blocks)
        self.window = self.levels[0].period

    @classmethod
    def load(cls, name: str | Path, levels: Sequence[StackedLevel]) -> StackedModel:
        """Open a network by its name or local folder.

        Raises:
            InputError: when transformers isn't installed, or there is no such network.
            SpecError: when the levels don't fit it.
        """
        try:
            from transformers import AutoModelForCausalLM
        except ImportError as error:
            raise InputError(
                "NG763",
                "networks of Hugging Face need the package transformers",
                "pip install 'nestgraph[hf]'",
            ) from error
        try:
            network = AutoModelForCausalLM.from_pretrained(str(name))
        except (OSError, ValueError) as error:
            first = str(error).strip().split("\n")[0]
            raise InputError("NG763", f"`{name}` can't be opened: {first}") from error
        network.train(False)
        return cls(network, levels)

    def initial_state(self) -> StackedState:
        """Return the state before the first token."""
        named = dict(self.network.named_parameters())
        weights = {name: named[name].detach() for name in self._rates}
        zeros = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        device = next(iter(named.values())).device
        return StackedState(
            0, weights, zeros, torch.zeros(1, 0, dtype=torch.long, device=device), ()
        )

    def forward(self, tokens: Tensor, state: StackedState | None = None) -> Output:
        """Return scores of the next token behind each token, and the state behind the last.

        Any pieces give the numbers of the whole; tokens since the last tick are run again.

        Args:
            tokens: (1, time): weights are one sequence's own.
            state: of the tokens before; None at the start.

        Raises:
            InputError: for more than one row.
        """
        if tokens.ndim != 2 or len(tokens) != 1:
            raise InputError(
                "NG741",
                f"the tokens are {tuple(tokens.shape)}, but a state is of one sequence",
                "give (1, time), and each sequence its own state",
            )
        state = self.initial_state() if state is None else state
        everything = torch.cat((state.tokens, tokens), 1)
        old, logits = state.tokens.shape[1], []
        for begin in range(0, everything.shape[1], self.window):
            piece = everything[:, begin : begin + self.window]
            labels = everything[:, begin + 1 : begin + self.window + 1]
            scores, state = self._window(piece, labels, state, max(0, old - begin))
            logits.append(scores)
        found = torch.cat(logits, 1)
        return Output(found[:, found.shape[1] - tokens.shape[1] :], {"stacked": state})

    def _window(
        self, piece: Tensor, labels: Tensor, state: StackedState, known: int
    ) -> tuple[Tensor, StackedState]:
        """Run one window; with a label for each of its tokens, its tick follows."""
        ticks = labels.shape[1] == self.window
        with torch.inference_mode(False), torch.set_grad_enabled(ticks):
            weights = {
                n: w.detach().clone().requires_grad_(ticks) for n, w in state.weights.items()
            }
            scores, cache = self._run(weights, piece.clone(), state.cache)
            read = state.position + piece.shape[1] - known
            if not ticks:
                return scores, state._replace(position=read, tokens=piece)
            wide = torch.promote_types(scores.dtype, torch.float32)
            loss = F.cross_entropy(scores[0].to(wide), labels[0].clone(), reduction="sum")
            slopes = torch.autograd.grad(loss, list(weights.values()))
        sums = {n: state.sums[n] + g for n, g in zip(weights, slopes, strict=True)}
        moved, left = self._moved(state.weights, sums, read)
        empty = piece[:, :0]
        return scores.detach(), StackedState(read, moved, left, empty, cache)

    def _moved(
        self, weights: Mapping[str, Tensor], sums: Mapping[str, Tensor], at: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        moved, left = dict(weights), dict(sums)
        for name, level in self._rates.items():
            if at % level.period == 0:
                moved[name] = weights[name] - level.rate * sums[name]
                left[name] = torch.zeros_like(sums[name])
        return moved, left

    def _run(
        self, weights: Mapping[str, Tensor], piece: Tensor, before: Cache
    ) -> tuple[Tensor, Cache]:
        from transformers import DynamicCache

        cache = DynamicCache()
        for layer, (keys, values) in enumerate(before):
            cache.update(keys, values, layer)
        frozen = {n: p.detach() for n, p in self.network.named_parameters() if n not in weights}
        answer: Any = functional_call(
            self.network,
            {**frozen, **weights},
            (piece,),
            {_cache_name(self.network): cache, "use_cache": True},
        )
        layers: list[Any] = list(cache.layers)
        return answer.logits, tuple((one.keys.detach(), one.values.detach()) for one in layers)


def _cache_name(network: nn.Module) -> str:
    """Return what the network calls its cache; older versions say `past_key_values`."""
    known = inspect.signature(network.forward).parameters
    return "cache" if "cache" in known else "past_key_values"


def _blocks(network: nn.Module) -> dict[int, list[str]]:
    """Return names of the parameters of each layer's MLP."""
    blocks: dict[int, list[str]] = {}
    for name, _ in network.named_parameters():
        if (found := _MLP.search(name)) is not None:
            blocks.setdefault(int(found[1]), []).append(name)
    return blocks


def _rates(
    levels: Sequence[StackedLevel], blocks: Mapping[int, Sequence[str]]
) -> dict[str, StackedLevel]:
    """Return the level of every parameter on a clock; everything that doesn't fit is told at
    once.
    """
    if not levels:
        raise InputError("NG763", "no level is given", "say which layers move, and how often")
    findings = Findings(misfits(levels))
    for level in levels:
        for layer in sorted(set(level.layers) - set(blocks)):
            message = f"the network has no MLP in layer {layer}"
            hint = f"its layers with one are {sorted(blocks)}"
            findings.add("NG763", message, level.places.get("layers"), hint)
    if findings:
        raise SpecError(findings)
    return {name: level for level in levels for layer in level.layers for name in blocks[layer]}
