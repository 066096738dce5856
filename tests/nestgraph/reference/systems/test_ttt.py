"""TTT in its dual form, mini-batch by mini-batch, and online."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from by_hand import conv, gelu_tanh, layer_norm, linear, rms, rotate, runs

HEADS, TIME, BATCH = 2, 8, 3
EPSILON = 1e-6


def flows(w, x, base_rate):
    """Return q, k, v (batch, heads, time, 4), η (batch, heads, time)."""
    u = rms(w, "u", x)
    both = linear(w, "qk", u)
    q, k = (rotate(conv(w, n, both), HEADS, BATCH) for n in "qk")
    eta = base_rate / 4 * (linear(w, "eta", u) + w["eta.then0.bias"]).sigmoid()
    heads = (runs(f, HEADS).transpose(1, 2) for f in (q, k, linear(w, "v", u)))
    return u, *heads, eta.transpose(1, 2)


def output(w, x, u, y):
    gated = layer_norm(w, "z", y.transpose(1, 2).flatten(2)) * gelu_tanh(linear(w, "gate", u))[0]
    return x + linear(w, "o", gated)


def index_rates(w, size):
    """Return max(1/t + learned, 0) for the t of a mini-batch."""
    t = torch.arange(1, size + 1, dtype=torch.float64)
    return (1 / t + w["learnt.table"][:size]).clamp(min=0)


class Norm:
    """LN with a learned gain and shift a head, and its slope."""

    def __init__(self, w):
        self.gain, self.shift = w["M.norm.gain"][:, None], w["M.norm.shift"][:, None]

    def __call__(self, z):
        return F.layer_norm(z, z.shape[-1:], eps=EPSILON) * self.gain + self.shift

    def back(self, z, d):
        """Return ∂/∂z of ½‖LN(z) − target‖², d = LN(z) − target."""
        deviation = (z.var(-1, keepdim=True, unbiased=False) + EPSILON).sqrt()
        hat = (z - z.mean(-1, keepdim=True)) / deviation
        g = d * self.gain
        return (g - g.mean(-1, keepdim=True) - hat * (g * hat).mean(-1, keepdim=True)) / deviation


def row_rates(w, eta):
    """Return token_idx_t × η_i for i ≤ t: what token t counts of the step of token i."""
    size = eta.shape[-1]
    return (index_rates(w, size)[:, None] * eta[..., None, :]).tril()


def test_ttt_linear_in_its_dual_form(shipped, flow, held):
    """Z̄ = Q W − (η ⊙ tril(Q Kᵀ)) G + b − tril(η) G, with G the slope at the batch's start."""

    def by_hand(w, x):
        u, q, k, v, eta = flows(w, x, 1.0)
        norm = Norm(w)
        matrix = w["M.W0"].mT.expand(2, -1, -1, -1)  # d_in × d_out
        bias = w["M.b0"][:, None].expand(2, -1, -1, -1)
        answers = []
        for i in range(0, x.shape[1], BATCH):
            now = slice(i, i + BATCH)
            keys, asked, rates = k[:, :, now], q[:, :, now], row_rates(w, eta[:, :, now])
            z = keys @ matrix + bias
            slope = norm.back(z, norm(z) - (v[:, :, now] - keys))
            z_bar = asked @ matrix - (rates * (asked @ keys.mT)) @ slope + bias - rates @ slope
            answers.append(asked + norm(z_bar))
            last = rates[..., -1, :, None]
            matrix = matrix - (last * keys).mT @ slope
            bias = bias - (last * slope).sum(-2, keepdim=True)
        return output(w, x, u, torch.cat(answers, 2))

    b = shipped("ttt-linear", "ttt", batch=BATCH)
    held(b, by_hand, flow(2, TIME, 8), "0.ttt")


def test_ttt_mlp_in_its_dual_form_twice(shipped, flow, held):
    def by_hand(w, x):
        u, q, k, v, eta = flows(w, x, 0.1)
        norm = Norm(w)
        w1, w2 = (w[f"M.W{i}"].mT.expand(2, -1, -1, -1) for i in (0, 1))
        b1, b2 = (w[f"M.b{i}"][:, None].expand(2, -1, -1, -1) for i in (0, 1))
        answers = []
        for i in range(0, x.shape[1], BATCH):
            now = slice(i, i + BATCH)
            keys, asked, rates = k[:, :, now], q[:, :, now], row_rates(w, eta[:, :, now])
            z1 = keys @ w1 + b1
            h, bend = gelu_tanh(z1)
            z2 = h @ w2 + b2
            slope2 = norm.back(z2, norm(z2) - (v[:, :, now] - keys))
            slope1 = (slope2 @ w2.mT) * bend
            z1_bar = asked @ w1 - (rates * (asked @ keys.mT)) @ slope1 + b1 - rates @ slope1
            h_bar = gelu_tanh(z1_bar)[0]
            z2_bar = h_bar @ w2 - (rates * (h_bar @ h.mT)) @ slope2 + b2 - rates @ slope2
            answers.append(asked + norm(z2_bar))
            last = rates[..., -1, :, None]
            w1, b1 = w1 - (last * keys).mT @ slope1, b1 - (last * slope1).sum(-2, keepdim=True)
            w2, b2 = w2 - (last * h).mT @ slope2, b2 - (last * slope2).sum(-2, keepdim=True)
        return output(w, x, u, torch.cat(answers, 2))

    b = shipped("ttt-mlp", "ttt", batch=BATCH, expansion=1.5)
    held(b, by_hand, flow(2, TIME, 8), "0.ttt")


def test_mini_batches_of_one_are_online_gradient_descent(shipped, flow, held):
    """W_t = W_{t−1} − η_t c ∇ℓ(W_{t−1}), c = max(1 + learned, 0), read behind the step."""

    def by_hand(w, x):
        u = rms(w, "u", x)
        both = linear(w, "qk", u)
        q, k = (runs(conv(w, n, both), HEADS) for n in "qk")  # at position 0 of each batch
        v = runs(linear(w, "v", u), HEADS)
        eta = 1 / 4 * (linear(w, "eta", u) + w["eta.then0.bias"]).sigmoid() * index_rates(w, 1)
        norm = Norm(w)
        norm.gain, norm.shift = norm.gain[:, 0], norm.shift[:, 0]
        matrix, bias = w["M.W0"].expand(2, -1, -1, -1), w["M.b0"].expand(2, -1, -1)
        answers = []
        for t in range(x.shape[1]):
            z = (matrix @ k[:, t, ..., None])[..., 0] + bias
            slope = norm.back(z, k[:, t] + norm(z) - v[:, t])
            matrix = matrix - eta[:, t, :, None, None] * slope[..., :, None] * k[:, t, ..., None, :]
            bias = bias - eta[:, t, :, None] * slope
            answers.append(q[:, t] + norm((matrix @ q[:, t, ..., None])[..., 0] + bias))
        return output(w, x, u, torch.stack(answers, 2)), {"M.A0": matrix, "M.A1": bias}

    b = shipped("ttt-linear", "ttt", batch=1)
    held(b, by_hand, flow(2, TIME, 8), "0.ttt")
