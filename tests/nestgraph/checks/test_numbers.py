"""Numbers of a training."""

from __future__ import annotations

from mistakes import errors_with


def test_an_end_above_the_learning_rate_is_named_where_it_stands():
    (found,) = errors_with("optimizer: adamw", "lr: 1e-3, min_lr: 1")

    assert "18:30: NG104 `min_lr` is 1, more than `lr`, which is 0.001" in found


def test_a_wrong_learning_rate_makes_no_end_wrong():
    (found,) = errors_with("optimizer: adamw", "lr: much, min_lr: 2")

    assert "`training.lr` of the spec is `much`" in found
