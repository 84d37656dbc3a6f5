"""Hypothesis strategies for neurons, edits, inputs, spectra, projectors and batches.

They generate seeds, shapes and *structure*, not raw floats. Every example takes its numbers from a
generator seeded by one drawn integer, so that it shrinks in what matters: numbers of neurons, dimensions
and keys to the smallest allowed, names and sizes to the first of those offered, the seed to 0. Each
strategy has a stream of its own: two strategies that shrink to one seed share no numbers; two draws from
one strategy may be equal.

Numbers are given as they are or as strategies. What is out of its interval, or not among its names,
raises `RangeError`: when the strategy is made, or when it is drawn if only then it is known.
`dtype` is "float64" or "float32", `library` "numpy" or "torch". Examples are computed in float64 and
rounded once, so that what is said of them holds to the rounding of `dtype`.

>>> from hypothesis import given
>>> from sphere_theory import energy, strategies
>>> @given(strategies.neuron_matrices(n=4, structures=("ordinary", "near-coincident")))
... def energy_is_positive(W):
...     assert energy(W) > 0
>>> energy_is_positive()
"""

from sphere_theory.samples import STRUCTURES
from sphere_theory.strategies.layers import batches, inputs, low_rank_updates, projectors
from sphere_theory.strategies.motions import DIRECTIONS, LENGTHS, edits, reversals, turns
from sphere_theory.strategies.spectra import SHAPES, tied_eigenvalues, tied_spectra
from sphere_theory.strategies.weights import neuron_matrices

__all__ = [
    "DIRECTIONS",
    "LENGTHS",
    "SHAPES",
    "STRUCTURES",
    "batches",
    "edits",
    "inputs",
    "low_rank_updates",
    "neuron_matrices",
    "projectors",
    "reversals",
    "tied_eigenvalues",
    "tied_spectra",
    "turns",
]
