"""One block in a model that does nothing else, and how results are compared with a hand's."""

from __future__ import annotations

import random
import textwrap
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from nestgraph.language.spec import Spec
from nestgraph.language.system import System
from nestgraph.reference import Reference

VOCAB = 96
MODEL = """\
nestgraph: 1
name: bench
levels: {levels}
blocks:
  b:
{block}
model:
  embed: {{vocab: {vocab}, width: {width}}}
  stack: [{{block: b, repeat: {repeat}}}]
  head: {{tie: false}}
"""


def system_of(block: str, width: int, levels: str = "{}", repeat: int = 1) -> System:
    """Return the system of one block, written as YAML from column 0."""
    text = MODEL.format(
        levels=levels,
        block=textwrap.indent(textwrap.dedent(block).strip("\n"), "    "),
        vocab=VOCAB,
        width=width,
        repeat=repeat,
    )
    return Spec.from_sources({"bench.yaml": text}, "bench.yaml", {}).system


class Bench:
    """Feeds a block with any flow: each token has its own row in the embedding, the head is 1."""

    def __init__(self, system: System) -> None:
        assert system.model is not None
        self.width = system.model.width
        self.reference = Reference(system, seed=random.randrange(2**31))
        for parameter in self.reference.parameters():
            # Gains, shifts and biases start at plain numbers that would hide mistakes.
            parameter.data += 0.2 * torch.randn_like(parameter)
        head = torch.eye(VOCAB, self.width, dtype=torch.float64)
        self.reference.weights.get_parameter("head.weight").data = head

    def weight(self, name: str, path: str = "0.b") -> Tensor:
        """Return a parameter of the block."""
        return self.reference.weights.named()[f"{path}.{name}"].detach()

    def project(self, x: Tensor, node: str) -> Tensor:
        """Return what a `linear` node makes of a flow."""
        return x @ self.weight(f"{node}.weight").T

    def __call__(self, x: Tensor) -> Tensor:
        """Return the block's output for the flow x (batch, time, width)."""
        y, _ = self.with_state(x)
        return y

    def with_state(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the output and the state behind it."""
        y, state = self.attached(x)
        return y.detach(), {k: v.detach() for k, v in state.items()}

    def attached(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the same, with their way back to the parameters."""
        batch, time, width = x.shape
        table = torch.zeros(VOCAB, width, dtype=torch.float64)
        table[: batch * time] = x.reshape(-1, width)
        self.reference.weights.get_parameter("embed.weight").data = table
        tokens = torch.arange(batch * time).reshape(batch, time)
        logits, state = self.reference(tokens)
        return logits[..., :width], state


@pytest.fixture
def bench(seed: int) -> Callable[..., Bench]:
    """Return `bench(block, width, levels)` builds a block of random weights."""
    return lambda *args, **kwargs: Bench(system_of(*args, **kwargs))


@pytest.fixture
def bench_of(seed: int) -> Callable[..., Bench]:
    """Return `bench_of(system)`: the bench of a system of one layer, whose head is its own."""
    return Bench


@pytest.fixture
def make_system() -> Callable[..., System]:
    """Return `make_system(block, width, levels, repeat)`: the checked system alone."""
    return system_of


@pytest.fixture
def seed() -> int:
    """Other numbers in every run; the seed is shown where a test fails."""
    number = random.SystemRandom().randrange(2**31)
    print(f"seed {number}")
    random.seed(number)
    torch.manual_seed(number)
    return number


@pytest.fixture
def flow(seed: int) -> Callable[..., Tensor]:
    """Return `flow(batch, time, width)`: a random flow in float64."""
    return lambda *shape: torch.randn(*shape, dtype=torch.float64)


@pytest.fixture
def agree() -> Callable[..., None]:
    """Return `agree(ours, by_hand)`: equal to 1e-10 of the norm."""

    def compare(ours: Tensor, by_hand: Tensor, tolerance: float = 1e-10) -> None:
        assert ours.shape == by_hand.shape
        assert torch.isfinite(by_hand).all()
        assert by_hand.norm() > 1e-6, "nothing was compared"
        error = ((ours - by_hand).norm() / by_hand.norm()).item()
        assert error <= tolerance, f"relative error {error:.1e}"

    return compare


@pytest.fixture
def each_head() -> Callable[..., Tensor]:
    """Return `each_head(recurrence, heads, *flows)`: runs a recurrence on every row and head alone.

    The recurrence is given the head's index and its runs of the flows, (time, width) each; a flow
    of one channel is shared by all heads.
    """

    def run(recurrence: Callable[..., Tensor], heads: int, *flows: Tensor) -> Tensor:
        def parts(flow: Tensor, row: int, head: int) -> Tensor:
            width = flow.shape[-1] // heads
            return flow[row] if not width else flow[row, :, head * width : (head + 1) * width]

        rows = [
            torch.cat([recurrence(h, *(parts(f, b, h) for f in flows)) for h in range(heads)], -1)
            for b in range(flows[0].shape[0])
        ]
        return torch.stack(rows)

    return run


Hand = Callable[[Mapping[str, Tensor], Tensor], Tensor | tuple[Tensor, Mapping[str, Tensor]]]


@pytest.fixture
def held(agree: Callable[..., None]) -> Callable[..., None]:
    """Return `held(bench, by_hand, x)`: outputs, final state and all gradients against a
    recurrence.

    `by_hand(w, x)` is given the block's parameters by name and the flow, and answers the block's
    output, or that and parts of the final state by name.
    """

    def compare(bench: Bench, by_hand: Hand, x: Tensor, path: str = "0.b") -> None:
        ours, state = bench.attached(x)
        named = bench.reference.weights.named()
        table = named["embed.weight"]
        w = {n.removeprefix(f"{path}."): p for n, p in named.items() if n.startswith(path)}
        answer = by_hand(w, table[: x.shape[0] * x.shape[1]].reshape(x.shape))
        theirs, parts = answer if isinstance(answer, tuple) else (answer, {})
        agree(ours, theirs)
        for name, tensor in parts.items():
            agree(state[f"{path}.{name}"], tensor)
        leaves = [p for p in (*w.values(), table) if p.requires_grad]
        mix = torch.randn_like(ours)
        slopes = torch.autograd.grad((ours * mix).sum(), leaves, allow_unused=True)
        expected = torch.autograd.grad((theirs * mix).sum(), leaves, allow_unused=True)
        # Sums of large terms leave rounding in small slopes: a thousandth of them all counts.
        least = 1e-3 * max(other.norm().item() for other in expected if other is not None)
        for one, other in zip(slopes, expected, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                assert (one - other).norm() <= 1e-9 * max(other.norm().item(), least)

    return compare


@pytest.fixture
def held_by_rows(agree: Callable[..., None]) -> Callable[..., None]:
    """Return `held_by_rows(reference, by_hand, tokens)`: logits and outer gradients against a loop.

    `by_hand(named, row)` is given all parameters by name and one row of the tokens, and answers
    its logits. Equal to 1e-10 of the norm.
    """

    def compare(
        reference: Reference,
        by_hand: Callable[[dict[str, Tensor], Tensor], Tensor],
        tokens: Tensor,
    ) -> None:
        named = dict(reference.weights.named())
        ours = reference(tokens).logits
        theirs = torch.stack([by_hand(named, row) for row in tokens])
        pull = torch.randn_like(ours)
        pairs = [
            torch.autograd.grad((logits * pull).sum(), list(named.values()), allow_unused=True)
            for logits in (ours, theirs)
        ]

        agree(ours.detach(), theirs.detach())
        for name, one, other in zip(named, *pairs, strict=True):
            assert (one is None) == (other is None), name
            if one is not None and other is not None and other.norm() > 1e-6:
                agree(one, other)

    return compare
