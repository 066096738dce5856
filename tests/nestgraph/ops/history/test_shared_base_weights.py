"""Matrices asked many times and moved once: gradients of several backwards over one graph."""

from __future__ import annotations

import torch
from torch import Tensor

from nestgraph.ops.history.shared_base_weights import Share, SharedBaseWeights
from nestgraph.ops.ttt.segment_end import Left

B, H, M, R, D, E = 2, 2, 2, 3, 4, 5
G = B * H * M


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64).requires_grad_()


def leaves() -> dict[str, Tensor]:
    return {
        "w": draw(B, H, M, E, D),
        "s": draw(B, H, M, E, D),
        "x": draw(G, R, D),
        "z": draw(G, R, E),
        "b": draw(G, R, 1),
        "c": draw(G, R - 1, 1),
        "u": draw(G, R, E),
        "starts": draw(3, G, 1, 1),
        "events": draw(2, G, R, 1),
    }


def by_ground(w, s, x, z, b, c, u, starts, events) -> list[Tensor]:
    found = SharedBaseWeights(w, s)
    ahead = found.ask(x, Share(b, c, 1))
    back = found.ask(z, Share(b, c, 1), back=True)
    moved, speed = found.moved(x, u, Left(starts, events))
    assert speed is not None
    return [ahead, back, moved, speed]


def plainly(w, s, x, z, b, c, u, starts, events) -> list[Tensor]:
    w, s = (part.permute(2, 0, 1, 3, 4).flatten(0, 2) for part in (w, s))
    c = torch.cat((torch.zeros_like(c[:, :1]), c), 1)
    ahead = b * (x @ w.mT) + c * (x @ s.mT)
    back = b * (z @ w) + c * (z @ s)
    moved = starts[0] * w + starts[1] * s - (events[0] * u).mT @ x
    speed = starts[2] * s - (events[1] * u).mT @ x
    both = (y.view(M, B, H, E, D).permute(1, 2, 0, 3, 4) for y in (moved, speed))
    return [ahead, back, *both]


def total(answers: list[Tensor]) -> Tensor:
    return torch.stack([x.sin().sum() for x in answers]).sum()


def test_answers_and_gradients_are_those_of_plain_products():
    given = leaves()
    ours, theirs = by_ground(**given), plainly(**given)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(total(ours), list(given.values())),
        torch.autograd.grad(total(theirs), list(given.values())),
    )


def test_two_backwards_over_one_graph_are_the_same():
    given = leaves()
    loss = total(by_ground(**given))
    first = torch.autograd.grad(loss, list(given.values()), retain_graph=True)
    again = torch.autograd.grad(loss, list(given.values()))
    assert all(torch.equal(x, y) for x, y in zip(first, again, strict=True))


def test_what_a_backward_of_rows_alone_noted_is_in_no_later_gradient():
    given = leaves()
    ahead, _, moved, _ = by_ground(**given)
    torch.autograd.grad(ahead.sin().sum(), [given["x"]], retain_graph=True)
    (found,) = torch.autograd.grad(moved.sin().sum(), [given["w"]])
    (expected,) = torch.autograd.grad(plainly(**given)[2].sin().sum(), [given["w"]])
    torch.testing.assert_close(found, expected)


def test_matrices_that_nobody_moves_have_the_gradients_of_those_who_asked():
    given = leaves()
    found = torch.autograd.grad(by_ground(**given)[0].sin().sum(), [given["w"], given["s"]])
    expected = torch.autograd.grad(plainly(**given)[0].sin().sum(), [given["w"], given["s"]])
    torch.testing.assert_close(found, expected)
