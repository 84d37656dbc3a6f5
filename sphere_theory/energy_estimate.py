"""HE_s of a layer too large for all its pairs, from a sample of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from sphere_theory.arrays import Array, as_count, as_real, full_precision
from sphere_theory.energy import potential
from sphere_theory.neurons import as_neurons
from sphere_theory.pairs import pair_squares


class Estimate(NamedTuple):
    """A sampled energy.

    Attributes
    ----------
    value
        Unbiased estimate of HE_s.
    stderr
        Its standard error, from the sample variance.
    low, high
        value ∓ 1.96 stderr: a 95% interval where the central limit theorem applies. It does not
        where near-coincident pairs carry the energy and the sample missed them.
    """

    value: float
    stderr: float
    low: float
    high: float


@full_precision()
def energy_estimate(W: Array, *, s: float = 1.0, samples: int, seed: int) -> Estimate:
    """Estimate HE_s(W) from a uniform sample of pairs, drawn with replacement.

    Parameters
    ----------
    W
        Weight matrix, (n, d), n ≥ 2, one neuron per row.
    s
        Exponent, s ≥ 0.
    samples
        Number of pairs, at least 2.
    seed
        Seed of the draw; the same pairs on every device.

    Returns
    -------
    Estimate
        Value, standard error and interval, in the unit of `energy(W, s=s)`.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ZeroRowError, RangeError
        As for `energy`; also when `samples` < 2 or `seed` is not a non-negative integer.
    """
    s = as_real(s, "s", low=0)
    samples = as_count(samples, "samples", low=2)
    generator = torch.Generator().manual_seed(as_count(seed, "seed", low=0, high=2**63 - 1))
    neurons = as_neurons(W, at_least=2)
    n = neurons.count
    i = torch.randint(n, (samples,), generator=generator)
    j = (i + torch.randint(1, n, (samples,), generator=generator)) % n
    pairs = torch.stack([i, j], dim=1).to(neurons.rows.device)
    values = potential(pair_squares(neurons, pairs), s) * (n * (n - 1))
    value = float(values.mean())
    stderr = float(values.std()) / math.sqrt(samples)
    return Estimate(value, stderr, value - 1.96 * stderr, value + 1.96 * stderr)
