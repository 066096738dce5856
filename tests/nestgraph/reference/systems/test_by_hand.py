"""The slopes that the recurrences of this folder stand on, against finite differences."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from by_hand import Deep, gelu, gelu_tanh, silu, times

TORCHS = {
    silu: F.silu,
    gelu: F.gelu,
    gelu_tanh: lambda z: F.gelu(z, approximate="tanh"),
}
NORMS = {
    "none": lambda z: z,
    "layer_norm": lambda z: F.layer_norm(z, (3,), eps=1e-6),
    "rms_norm": lambda z: F.rms_norm(z, (3,), eps=1e-6),
}


@pytest.mark.parametrize("act", TORCHS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("residual", [True, False])
def test_the_slopes_of_a_deep_memory(seed, act, norm, residual):
    gain, shift, k, mix = torch.randn(4, 3, dtype=torch.float64)
    net = Deep(act, norm, gain, shift, residual)
    w = [torch.randn(5, 3, dtype=torch.float64), torch.randn(3, 5, dtype=torch.float64)]

    def answer(w):
        y = NORMS[norm](times(w[1], TORCHS[act](times(w[0], k))))
        return k * residual + (y if norm == "none" else y * gain + shift)

    assert torch.allclose(net.answer(w, k), answer(w))
    slopes, _ = net.slopes(w, k, lambda _: mix)
    for part, slope in enumerate(slopes):
        way, h = torch.randn_like(slope), 1e-6
        ahead, behind = (
            (answer([m + s * way if i == part else m for i, m in enumerate(w)]) * mix).sum()
            for s in (h, -h)
        )
        assert abs((ahead - behind) / (2 * h) - (slope * way).sum()) < 1e-7
