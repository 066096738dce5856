"""The events of a `diagonal_delta` memory, sorted into pulls and writes.

Legend: B batch, H heads, T time, n events a position, p pulls, f writes, D key width,
E value width, e = E or 1.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Events(NamedTuple):
    """What every position does to the matrix.

    Attributes:
        pulled: x of the pulls, (B, H, T, p, D).
        rates: c of the pulls, (B, H, T, p, e).
        pull_keys: y of the pulls, (B, H, T, p, D).
        pull_values: w of the pulls, (B, H, T, p, E).
        write_keys: z of the writes, (B, H, T, f, D).
        write_values: w of the writes, (B, H, T, f, E).
    """

    pulled: Tensor
    rates: Tensor
    pull_keys: Tensor
    pull_values: Tensor
    write_keys: Tensor
    write_values: Tensor

    @property
    def by_value(self) -> bool:
        """Return whether rows of the matrix are pulled at paces of their own."""
        return self.pulls > 0 and self.rates.shape[4] > 1

    @property
    def pulls(self) -> int:
        """p."""
        return self.pulled.shape[3]

    @property
    def keys(self) -> Tensor:
        """y of the pulls, then z of the writes, (B, H, T, p + f, D)."""
        return _one([self.pull_keys, self.write_keys])

    @property
    def values(self) -> Tensor:
        """w of the same, (B, H, T, p + f, E)."""
        return _one([self.pull_values, self.write_values])


def gather(
    k: Tensor,
    v: Tensor,
    rate: Tensor,
    erase: Tensor | None,
    first_kept: Tensor | None,
    *,
    erase_key: Tensor | None,
    pulling: bool,
    alike: bool,
) -> Events:
    """Sort the events.

    Args:
        k: keys (B, H, T, D) or (B, H, T, n, D).
        v: values.
        rate: η times scale, spread over the matrix.
        erase: ρ, spread over the matrix.
        first_kept: α where pulls see what it left, else None; spread over the matrix.
        erase_key: (B, H, T, D).
        pulling: whether the objective's gradient pulls.
        alike: ρ is η.

    Returns:
        As few events as the rates allow: an erase under the write's own key is one with it.
    """
    if k.dim() == 4:
        k, v = k.unsqueeze(3), v.unsqueeze(3)
    write_key, write_rate = _split(rate, k)
    values = write_rate * v
    none = values.new_zeros(1).expand_as(values)
    pulls: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    writes: list[tuple[Tensor, Tensor]] = []
    if erase is None:
        if pulling:
            pulls.append((k, write_rate, write_key, values))
        else:
            writes.append((write_key, values))
    else:
        other = k if erase_key is None else erase_key.unsqueeze(3)
        key, pace = _split(erase, other)
        plain = rate.shape[4] == 1 and erase.shape[4] == 1
        if erase_key is None and (alike or plain):
            pulls.append((k, pace + write_rate if pulling else pace, write_key, values))
        elif pulling:
            pulls.append((k, write_rate, write_key, values))
            pulls.append((other, pace, key, none[:, :, :, : other.shape[3]]))
        else:
            pulls.append((other, pace, key, none[:, :, :, : other.shape[3]]))
            writes.append((write_key, values))
    return _joined(pulls, writes, first_kept)


def _split(rate: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    """Return the key with what differs by key on it, and what is left of the rate, (B, H, T, 1,
    e).
    """
    assert 1 in rate.shape[3:], "rates by cell have no form in chunks"
    if rate.shape[4] > 1:
        return key * rate, rate.new_ones(1, 1, 1, 1, 1)
    return key, rate.mT


def _joined(
    pulls: list[tuple[Tensor, Tensor, Tensor, Tensor]],
    writes: list[tuple[Tensor, Tensor]],
    first_kept: Tensor | None,
) -> Events:
    like, high = (pulls[0][2], pulls[0][3]) if pulls else writes[0]
    free = writes or [(like[:, :, :, :0], high[:, :, :, :0])]
    stay = [(like[:, :, :, :0], like[:, :, :, :0, :1], like[:, :, :, :0], high[:, :, :, :0])]
    taken = pulls or stay
    wide = max(c.shape[4] for _, c, *_ in taken)
    pulled = _one([x for x, *_ in taken])
    rates = _one([c.expand(*x.shape[:4], wide) for x, c, *_ in taken])
    if first_kept is not None and pulls:
        if first_kept.shape[3] > 1:
            rates = rates * first_kept.mT
        else:
            pulled = pulled * first_kept
    return Events(
        pulled,
        rates,
        _one([y for *_, y, _ in taken]),
        _one([w for *_, w in taken]),
        _one([z for z, _ in free]),
        _one([w for _, w in free]),
    )


def _one(parts: list[Tensor]) -> Tensor:
    """Return parts joined along the events, without a copy where all but one are empty."""
    full = [part for part in parts if part.shape[3]]
    return full[0] if len(full) == 1 else torch.cat(parts, 3)
