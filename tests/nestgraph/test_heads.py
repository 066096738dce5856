"""What a model answers with: as many classes as its head says, and what the head was given."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from building import spec_of
from torch import Tensor

import nestgraph as ng
from nestgraph.analysis.costs import costs
from nestgraph.compiler.build import build_program
from nestgraph.compiler.equivalence import verify
from nestgraph.compiler.text import parse_program, print_program
from nestgraph.errors import InputError, SpecError
from nestgraph.language.spec import Spec
from nestgraph.runtime.output import HiddenOutput, Output
from nestgraph.training.fit import fit
from nestgraph.training.stream import stream

CLASSES, VOCAB = 3, 7
ONLINE = f"""
    nestgraph: 1
    name: classifier
    levels: {{fast: 2 tokens}}
    blocks:
      b:
        memories:
          F: {{net: mlp, level: fast, objective: task, gradient: first_order, rule: {{rate: 0.5}}}}
          M: {{net: linear, keys: x, values: x, rule: {{rate: 0.1}}}}
        nodes:
          f: {{read: F, query: x}}
          m: {{read: M, query: x}}
          out: {{op: sum, in: [x, f, m]}}
    model:
      embed: {{vocab: {VOCAB}, width: 8}}
      stack: [{{block: b, repeat: 2}}]
      norm: rms_norm
      head: {{out: {CLASSES}}}
"""


def classifier(**head: object) -> Spec:
    return spec_of(ONLINE, {f"model.head.{key}": value for key, value in head.items()})


def text(rows: int = 2, time: int = 9) -> Tensor:
    return torch.randint(VOCAB, (rows, time))


def labels(rows: int = 2, time: int = 9) -> Tensor:
    return torch.randint(CLASSES, (rows, time))


def test_a_head_has_as_many_scores_as_it_says() -> None:
    spec = classifier()
    module, reference = ng.compile(spec).double(), ng.reference(spec)
    assert dict(module.model.weights.named())["head.weight"].shape == (CLASSES, 8)
    tokens, targets = text(), labels()
    targets[0, 3:5] = -100
    ours, theirs = module(tokens, targets=targets), reference(tokens, targets=targets)
    assert ours.logits.shape == (2, 9, CLASSES)
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=1e-6, atol=1e-7)
    assert [row.shape for row in module(tokens[:0])[:1]] == [(0, 9, CLASSES)]


def test_without_targets_other_classes_teach_nothing() -> None:
    """The next token is no class, so that nobody knows a label."""
    spec = classifier()
    module, reference = ng.compile(spec).double(), ng.reference(spec)
    tokens = text()
    with torch.no_grad():
        plain = module(tokens)
        silent = module(tokens, targets=torch.full_like(tokens, -100))
        taught = module(tokens, targets=labels())
    assert torch.equal(plain.logits, silent.logits)
    torch.testing.assert_close(plain.logits, reference(tokens).logits, rtol=1e-6, atol=1e-7)
    assert not torch.allclose(plain.logits, taught.logits, rtol=0, atol=1e-4)


def test_a_label_beyond_the_classes_is_refused() -> None:
    module, tokens, targets = ng.compile(classifier()), text(), labels()
    targets[1, 4] = CLASSES
    said = rf"NG744 row 1 has the label {CLASSES} at position 4; the model answers with 0 to 2"
    with pytest.raises(InputError, match=said):
        module.loss(tokens, targets)
    with pytest.raises(InputError, match=said):
        module.validation_step((tokens, targets), 0)


def test_such_a_model_is_trained_on_pairs_and_costs_what_its_head_does() -> None:
    module = ng.compile(classifier())
    loss, _ = module.loss(text(), labels())
    loss.backward()
    head = dict(module.model.weights.named())["head.weight"]
    assert head.grad is not None
    assert head.grad.any()
    assert costs(module.spec.system)["head"].flops == 2 * 8 * CLASSES


def test_no_text_goes_on_with_other_classes(tmp_path: Path) -> None:
    module = ng.compile(classifier())
    said = r"NG736 `classifier` answers with 3 classes, not with its 7 tokens"
    with pytest.raises(InputError, match=said):
        module.generate(torch.tensor([1, 2]), 3)
    with pytest.raises(InputError, match=said):
        next(module.stream(torch.tensor([1, 2])))
    with pytest.raises(InputError, match=said):
        fit(classifier(), tmp_path / "run")
    with pytest.raises(InputError, match=said):
        stream(classifier(), tmp_path / "stream")


def test_a_tied_head_has_the_classes_of_its_table() -> None:
    with pytest.raises(SpecError, match=r"NG353 `out: 3` can't be scored by the embedding table"):
        classifier(tie=True)
    assert classifier(tie=True, out=VOCAB).system.model is not None


def test_verification_and_ir_know_other_classes() -> None:
    system = classifier().system
    program = build_program(system)
    assert f"classes={CLASSES}" in print_program(program)
    assert parse_program(print_program(program)) == program
    assert verify(system, tokens=9, spread=0.1).agrees


@pytest.mark.parametrize("name", ["hope-tiny", "hope-online", "transformer-tiny"])
def test_hidden_states_are_what_the_head_was_given(name: str) -> None:
    small = {"vars.width": 16, "vars.heads": 2, "vars.depth": 1}
    paces = {"vars.fast": 4, "vars.mid": 8, "vars.slow": 16} if name == "hope-online" else {}
    spec = ng.load(name, set=small | paces)
    module, reference = ng.compile(spec).double(), ng.reference(spec)
    tokens = torch.randint(256, (2, 11))
    tokens[1, 7:] = -1
    for model in (module, reference):
        found = model(tokens, hidden=True)
        assert isinstance(found, HiddenOutput)
        assert found.hidden.shape == (2, 11, 16)
        assert not found.hidden[1, 7:].any()
        weights = dict((module.model if model is module else model).weights.named())
        head = weights.get("head.weight", weights["embed.weight"])
        torch.testing.assert_close(found.hidden @ head.mT, found.logits)
        plain = model(tokens)
        assert isinstance(plain, Output)
        torch.testing.assert_close(plain.logits, found.logits)
    ours, theirs = (m(tokens, hidden=True).hidden for m in (module, reference))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_hidden_states_stream_and_have_gradients() -> None:
    paces = {"vars.fast": 4, "vars.mid": 8, "vars.slow": 16, "vars.width": 16, "vars.heads": 2}
    module = ng.compile(ng.load("hope-online", set=paces | {"vars.depth": 1})).double()
    tokens = torch.randint(256, (2, 14))
    with torch.no_grad():
        whole = module(tokens, hidden=True).hidden
        state, parts = None, []
        for piece in tokens.split(5, 1):
            answer = module(piece, state, hidden=True)
            state = answer.state
            parts.append(answer.hidden)
        assert not whole.requires_grad
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-9, atol=1e-10)
    module(tokens, hidden=True).hidden.sum().backward()
    assert any(p.grad is not None and p.grad.any() for p in module.parameters())
