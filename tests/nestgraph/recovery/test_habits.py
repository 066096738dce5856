"""Words of other tools lead to those of this language, or to how it says the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nestgraph.findings import closest, word_of_language
from nestgraph.language import zoo
from nestgraph.recovery.habits import HABITS, OTHERWISE, folded, is_foreign, meant_by, otherwise
from nestgraph.schema import OF_OPTIMIZERS, OPS
from nestgraph.schema.base import Closed
from nestgraph.schema.elsewhere import elsewhere
from nestgraph.schema.file import Model, Training
from nestgraph.schema.follow import known_keys

IN_MODELS = [name for name in OPS if name not in OF_OPTIMIZERS]


@pytest.mark.parametrize(
    ("word", "op"),
    [
        ("add", "sum"),
        ("mul", "product"),
        ("swish", "silu"),
        ("Linear", "linear"),
        ("fc", "linear"),
        ("dense", "linear"),
        ("matmul", "linear"),
        ("LayerNorm", "layer_norm"),
        ("RMSNorm", "rms_norm"),
        ("Softmax", "softmax"),
        ("ReLU", "relu"),
        ("GELU", "gelu"),
        ("SiLU", "silu"),
        ("Conv1d", "conv"),
        ("pow", "power"),
        ("div", "divide"),
        ("maximum", "max"),
        ("sofmax", "softmax"),
    ],
)
def test_an_op_by_another_name_is_told_by_ours(word: str, op: str) -> None:
    assert word_of_language(word, IN_MODELS) == f"did you mean `{op}`?"


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("concat", "`sum`"),
        ("dropout", "weight_decay"),
        ("MultiheadAttention", "`M: {net: attention"),
        ("attn", "`M: {net: attention"),
        ("mha", "`M: {net: attention"),
        ("ffn", "`net: mlp`"),
        ("SwiGLU", "{op: product"),
        ("sqrt", "exponent: 0.5"),
        ("sub", "weights: [1, -1]"),
    ],
)
def test_what_has_no_op_is_said_otherwise(word: str, part: str) -> None:
    hint = word_of_language(word, IN_MODELS)

    assert part in hint
    assert "did you mean" not in hint


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("learning_rate", "lr"),
        ("wd", "weight_decay"),
        ("weightDecay", "weight_decay"),
        ("batch_size", "batch"),
        ("seq_len", "context"),
        ("epochs", "steps"),
        ("max_steps", "steps"),
        ("warmup_steps", "warmup"),
        ("max_grad_norm", "clip"),
        ("optim", "optimizer"),
    ],
)
def test_a_setting_of_other_trainers_is_told_by_ours(word: str, key: str) -> None:
    assert closest(word, known_keys(Training)) == key


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("lr", "`lr` stands in `training`"),
        ("epochs", "`steps` stands in `training`"),
        ("vocab_size", "`vocab` stands in `embed` of `model`"),
        ("hidden_size", "`width` stands in `embed` of `model`"),
        ("num_layers", "`repeat` stands in an item of `stack` of `model`"),
        ("n_heads", "`heads` stands in a memory"),
        ("zork", ""),
    ],
)
def test_a_key_in_the_wrong_mapping_is_told_where_it_stands(word: str, told: str) -> None:
    assert elsewhere(word, Model) == told


@pytest.mark.parametrize("name", ["AdamW", "SGD", "RMSprop", "Adam_W", "Lion", "MUON", "Nesterov"])
def test_optimizers_are_found_however_they_are_spelt(name: str) -> None:
    assert closest(name, zoo.optimizers()) == folded(name)


def models(kind: type[Closed]) -> Iterator[type[Closed]]:
    """Yield all mappings of the language."""
    for below in kind.__subclasses__():
        yield below
        yield from models(below)


def test_every_habit_leads_to_a_word_that_there_is() -> None:
    keys = {key for model in [*models(Closed)] for key in known_keys(model)}
    words = {"attention", "mlp", "l2", "task"}  # of nets and objectives
    known = {*keys, *words, *OPS, *zoo.optimizers(), "period"}  # of the levels of `stack`

    for word, meant in HABITS.items():
        assert set(meant) <= known, word
        assert set(meant_by(word.upper())) == set(meant)


def test_no_word_of_the_ops_is_taken_for_a_foreign_one_in_a_model() -> None:
    for name in IN_MODELS:
        assert closest(name, IN_MODELS) == name


def test_sentences_name_only_ops_that_models_have() -> None:
    for word, sentence in OTHERWISE.items():
        named = [part.split(",")[0].split("}")[0] for part in sentence.split("{op: ")[1:]]
        assert set(named) <= set(IN_MODELS), word
        assert otherwise(word.title()) == sentence
        assert is_foreign(word)
