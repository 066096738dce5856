"""The model around the blocks: streaming, causality, rows, heads, groups on steps, refusals."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from nestgraph.errors import SpecError
from nestgraph.language.spec import Spec
from nestgraph.reference import Reference, flat_state

# Every kind of state: attention, conv tails, anchors of three clocks, momentum, retention.
EVERYTHING = """
nestgraph: 1
name: everything
levels: {pair: 2 tokens, chunk: 3 tokens, never_mind: 4 steps}
blocks:
  attend:
    memories: {A: {net: attention, heads: 2, keys: k, values: x}}
    nodes:
      q: {op: rope, in: x, heads: 2}
      k: {op: rope, in: x, heads: 2, since: chunk}
      y: {read: A, query: q}
      out: {op: sum, in: [x, y]}
  learn:
    memories:
      M:
        net: {kind: mlp, expansion: 1, residual: true}
        heads: 2
        level: chunk
        keys: k
        values: {self: x}
        rule: {rate: eta, retain: 0.9, momentum: 0.5, erase: layers, implicit: true}
      N: {heads: 2, level: pair, keys: k, values: x, rule: {rate: eta, retain: 0.8,
          retain_first: true}}
      G: {net: {kind: mlp, expansion: 2, activation: gelu}, heads: 2, level: never_mind,
          objective: task}
    nodes:
      u: {op: rms_norm, in: x}
      k: {op: conv, in: u, width: 3, then: [{op: l2_norm, heads: 2}]}
      e: {read: M, query: k, at: boundary}
      eta: {op: mean, in: e, heads: 2, then: [sigmoid, {op: affine, scale: 0.2}]}
      y: {read: M, query: u}
      z: {read: N, query: k, at: before}
      g: {read: G, query: u}
      p: {op: position, since: pair}
      t: {op: tile, in: p, times: 8}
      out: {op: sum, in: [x, y, z, g, t], weights: [1, 1, 1, 1, 0.1]}
model:
  embed: {vocab: 17, width: 8}
  stack: [{repeat: 2, stack: [{block: attend}, {block: learn}]}]
  norm: layer_norm
  head: {tie: true}
"""


def load(text):
    return Spec.from_sources({"spec.yaml": text}, "spec.yaml", {}).system


@pytest.fixture
def model(seed):
    reference = Reference(load(EVERYTHING), seed=seed)
    for parameter in reference.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return reference


@pytest.fixture
def tokens(seed):
    return torch.randint(17, (3, 10))


def same(a, b, tolerance=1e-12):
    assert a.shape == b.shape
    a, b = a.double(), b.double()  # marks of events are truth values
    assert (a - b).norm() <= tolerance * b.norm().clamp(min=1)


@pytest.mark.parametrize("cuts", [(5,), (3, 6), (1, 2, 3), (4, 4, 9), tuple(range(1, 10)), (10,)])
def test_a_sequence_in_pieces_gives_the_same_numbers(model, tokens, cuts):
    whole = model(tokens)
    state, pieces = None, []
    for start, end in zip((0, *cuts), (*cuts, 10), strict=True):
        piece = model(tokens[:, start:end], state)
        pieces.append(piece.logits)
        state = flat_state(piece.state)
    same(torch.cat(pieces, 1), whole.logits)
    assert state.keys() == whole.state.keys()
    for name, tensor in flat_state(whole.state).items():
        same(state[name].double(), tensor.double())


def test_the_initial_state_may_be_passed_explicitly(model, tokens):
    given = model(tokens, model.initial_state(3))
    assert torch.equal(given.logits, model(tokens).logits)


def test_the_initial_state_leaves_the_parameters_alone(model):
    state = model.initial_state(3)
    assert state["1.learn.M.A0"].shape == (3, 2, 4, 4)
    with torch.no_grad():
        state["1.learn.M.A0"].add_(1)
    assert not torch.equal(state["1.learn.M.A0"][0], model.weights.named()["1.learn.M.W0"])


def test_states_have_the_names_of_their_memories(model, tokens):
    names = set(flat_state(model(tokens).state))
    first_two = {name for name in names if name.startswith(("0.", "1."))}
    assert first_two == {
        "0.attend.A.k",
        "0.attend.A.v",
        "0.attend.A.written",
        "1.learn.k.tail",
        *(f"1.learn.M.{part}{layer}" for part in ("A", "anchor", "S") for layer in (0, 1)),
        "1.learn.N.A0",
        "1.learn.N.anchor0",
        "1.learn.N.kept",
    }
    assert names - first_two - {"position"} == {
        name.replace("0.attend", "2.attend").replace("1.learn", "3.learn") for name in first_two
    }


def test_what_comes_later_changes_nothing_before(model, tokens):
    changed = tokens.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % 17
    ours, theirs = model(tokens).logits, model(changed).logits
    assert torch.equal(ours[:, :6], theirs[:, :6])
    assert (ours[:, 6:] - theirs[:, 6:]).abs().amax((0, 2)).min() > 1e-6


def test_rows_of_a_batch_never_mix(model, tokens):
    together = model(tokens)
    for row in range(3):
        alone = model(tokens[row : row + 1])
        same(together.logits[row : row + 1], alone.logits)
        for name, tensor in flat_state(alone.state).items():
            if name != "position":
                same(together.state[name][row : row + 1], tensor)


def test_an_empty_piece_changes_nothing(model, tokens):
    before = model(tokens)
    after = model(tokens[:, :0], before.state)
    assert after.logits.shape == (3, 0, 17)
    assert all(torch.equal(after.state[name], t) for name, t in before.state.items())


def test_a_state_of_other_rows_or_another_model_is_refused(model, tokens):
    state = model(tokens).state
    with pytest.raises(ValueError, match=r"has 3 rows, but the tokens have 1"):
        model(tokens[:1], state)
    del state["1.learn.M.A0"]
    with pytest.raises(ValueError, match=r"`1\.learn\.M\.A0` is missing or too much"):
        model(tokens, state)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_memories_learn_without_an_outer_gradient_too(model, tokens, mode):
    trained = model(tokens)
    with mode():
        tested = model(tokens)
        continued = model(tokens, tested.state)
    same(tested.logits, trained.logits.detach())
    same(continued.logits, model(tokens, trained.state).logits.detach())
    assert not any(tensor.requires_grad for tensor in tested.state.values())


def test_positions_count_the_tokens_read(model, tokens):
    state = model(tokens).state
    assert state["position"] == 10
    assert model(tokens[:, :3], state).state["position"] == 13


def test_any_floating_point_type_will_do(tokens, seed):
    exact = Reference(load(EVERYTHING), seed=seed)
    rough = Reference(load(EVERYTHING), seed=seed, dtype=torch.float32)
    output = rough(tokens)
    assert output.logits.dtype == output.state["1.learn.M.A0"].dtype == torch.float32
    same(output.logits.double(), exact(tokens).logits, 1e-4)


def test_two_heads_are_two_memories(bench, flow, agree):
    """One block with two heads, and one with two memories on half the channels each."""
    rule = "level: chunk, rule: {rate: 0.3, retain: 0.9, momentum: 0.5, erase: key, implicit: true}"
    net = "net: {kind: mlp, expansion: 2}"
    two_heads = f"""
    memories: {{M: {{{net}, heads: 2, keys: x, values: x, {rule}}}}}
    nodes: {{out: {{read: M, query: x}}}}
    """
    two_memories = f"""
    memories:
      A: {{{net}, keys: a, values: a, {rule}}}
      B: {{{net}, keys: b, values: b, {rule}}}
    nodes:
      a: {{op: slice, in: x, start: 0, size: 3}}
      b: {{op: slice, in: x, start: 3, size: 3}}
      a_out: {{read: A, query: a, then: [{{op: linear, out: 6}}]}}
      b_out: {{read: B, query: b, then: [{{op: linear, out: 6}}]}}
      out: {{op: sum, in: [a_out, b_out]}}
    """
    ours = bench(two_heads, 6, "{chunk: 3 tokens}")
    theirs = bench(two_memories, 6, "{chunk: 3 tokens}")
    named = theirs.reference.weights.named()
    for layer in (0, 1):
        weight = ours.weight(f"M.W{layer}")
        for head, memory in enumerate("AB"):
            named[f"0.b.{memory}.W{layer}"].data = weight[head : head + 1]
    unit = torch.eye(6, dtype=torch.float64)
    named["0.b.a_out.then0.weight"].data = unit[:, :3]
    named["0.b.b_out.then0.weight"].data = unit[:, 3:]
    x = flow(2, 7, 6)
    agree(ours(x), theirs(x))


def test_a_task_memory_on_steps_is_a_plain_mlp(bench, flow, agree):
    block = """
    memories:
      F: {net: {kind: mlp, layers: 3, expansion: 2, activation: gelu, residual: true},
          heads: 2, level: slow, objective: task}
    nodes: {out: {read: F, query: x}}
    """
    b = bench(block, 6, "{slow: 16 steps}")
    x = flow(2, 4, 6)
    expected = []
    for head, run in enumerate(x.split(3, -1)):
        w = [b.weight(f"F.W{i}")[head] for i in range(3)]
        expected.append(run + F.gelu(F.gelu(run @ w[0].T) @ w[1].T) @ w[2].T)
    agree(b(x), torch.cat(expected, -1))
    _, state = b.with_state(x)
    assert set(state) == {"position"}


@pytest.mark.parametrize("norm", ["", "norm: rms_norm", "norm: layer_norm"])
@pytest.mark.parametrize("tie", ["true", "false"])
def test_the_head_reads_the_normed_stream(seed, norm, tie):
    text = f"""
nestgraph: 1
name: plain
blocks: {{b: {{nodes: {{out: {{op: tanh, in: x}}}}}}}}
model:
  embed: {{vocab: 7, width: 4}}
  stack: [{{block: b, repeat: 3}}]
  {norm}
  head: {{tie: {tie}}}
"""
    reference = Reference(load(text), seed=seed)
    for parameter in reference.parameters():
        parameter.data = torch.randn_like(parameter)
    named = reference.weights.named()
    tokens = torch.randint(7, (2, 3))
    x = named["embed.weight"][tokens].tanh().tanh().tanh()
    if "rms" in norm:
        x = F.rms_norm(x, (4,), named["norm.gain"], eps=1e-6)
    if "layer" in norm:
        x = F.layer_norm(x, (4,), named["norm.gain"], named["norm.shift"], eps=1e-6)
    head = named["embed.weight" if tie == "true" else "head.weight"]
    same(reference(tokens).logits, x @ head.T)


def test_what_nothing_runs_yet_is_refused_at_its_place():
    text = EVERYTHING.replace("residual: true}", "residual: true, gated: true}")
    with pytest.raises(SpecError) as caught:
        Reference(load(text))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code.startswith("NG9")
    assert diagnostic.span is not None
    assert diagnostic.span.line == text[: text.index("gated")].count("\n") + 1


def test_memories_stay_on_the_clock_of_their_period(model, tokens):
    """Anchors move behind tokens 3, 6, 9; running states behind every token."""
    state, anchors, running = None, [], []
    for t in range(10):
        state = model(tokens[:, t : t + 1], state).state
        anchors.append(state["1.learn.M.anchor0"])
        running.append(state["1.learn.M.A0"])
    moved = [not torch.equal(a, b) for a, b in itertools.pairwise(anchors)]
    assert [t + 2 for t, m in enumerate(moved) if m] == [3, 6, 9]
    assert torch.equal(anchors[8], running[8])
    assert all(not torch.equal(a, b) for a, b in itertools.pairwise(running))
