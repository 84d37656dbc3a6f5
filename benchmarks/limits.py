"""The physical limit of a row: operations over the rate at which this machine multiplies.

Rates are measured in the same run. A phase takes at least the longer of its operations over the
rate of a large product and its bytes over the bandwidth of a large copy; phases follow one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from benchmarks.measure import Work, side_by_side

# Bytes of the copied array: far beyond any cache.
_COPIED = 2**29


@dataclass(frozen=True)
class Phase:
    """One step of a method.

    Attributes
    ----------
    name
        What it is, with its operation count in symbols.
    flops
        Floating-point operations that it needs.
    dtype
        Their precision.
    bytes
        Least traffic with memory.
    """

    name: str
    flops: float
    dtype: torch.dtype = torch.float32
    bytes: float = 0.0


@dataclass(frozen=True)
class Limit:
    """The least time that this machine needs for a method.

    Attributes
    ----------
    seconds
        Sum over phases.
    flops
        Operations of all phases.
    rates
        Measured flop/s by dtype, and bytes/s of a copy under "copy".
    phases
        Seconds by phase.
    """

    seconds: float
    flops: float
    rates: dict[str, float]
    phases: dict[str, float]


def limit(shape: tuple[int, int], device: str, *phases: Phase) -> Limit:
    """Add up a method's phases at the rates measured here.

    Parameters
    ----------
    shape
        (n, d) of the product that the rates are measured on.
    device
        "cpu" or "cuda".
    *phases
        What the method does.

    Returns
    -------
    Limit
        The limit.
    """
    rates = {dtype: gemm_rate(*shape, dtype, device) for dtype in (torch.float32, torch.float64)}
    copy = copy_rate(device, min(_COPIED, 64 * shape[0] * shape[1]))
    seconds = {p.name: max(p.flops / rates[p.dtype], p.bytes / copy) for p in phases}
    named = {str(dtype).removeprefix("torch."): rate for dtype, rate in rates.items()} | {"copy": copy}
    return Limit(sum(seconds.values()), sum(p.flops for p in phases), named, seconds)


@cache
def gemm_rate(n: int, d: int, dtype: torch.dtype, device: str) -> float:
    """Best rate of a product with d terms a sum: W Wᵀ for W of shape (n, d), or for its first rows.

    The first rows too, since a product of fewer rows can be faster than the whole one, and a limit
    must not be beaten.

    Parameters
    ----------
    n, d, dtype, device
        Of W.

    Returns
    -------
    float
        flop/s, with 2m²d operations for m rows.
    """
    W = torch.ones((n, d), dtype=dtype, device=device)
    return max(_rate(W[:rows], device) for rows in {n, min(n, 1024), min(n, 512)})


def _rate(W: Tensor, device: str) -> float:
    (timing,) = side_by_side(Work(lambda: W @ W.T, repeats=3), device=device)
    return 2 * len(W) ** 2 * W.shape[1] / timing.low


@cache
def copy_rate(device: str, size: int = _COPIED) -> float:
    """Best bandwidth of a large copy, reading and writing.

    Parameters
    ----------
    device
        "cpu" or "cuda".
    size
        Bytes of the array.

    Returns
    -------
    float
        bytes/s.
    """
    source = torch.zeros(size // 4, dtype=torch.float32, device=device)
    target = torch.zeros_like(source)
    (timing,) = side_by_side(Work(lambda: target.copy_(source)), device=device)
    return 2 * size / timing.low
