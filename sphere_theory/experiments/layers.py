"""One weight matrix in one row: energy against its references, separation, norms, rank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from time import perf_counter
from typing import Any

from torch import Tensor

from sphere_theory.energy import energy, simplex_energy, uniform_energy
from sphere_theory.errors import InputError
from sphere_theory.models.weights import Checkpoint, Model, open_checkpoint
from sphere_theory.neurons import Progress, as_neurons, silent
from sphere_theory.separation import min_separation
from sphere_theory.spectrum import principal_space


@dataclass(frozen=True)
class LayerRow:
    """What one weight matrix is like.

    Attributes
    ----------
    tensor
        Name of the tensor.
    n, d
        Neurons and dimension.
    s
        Exponent of the energy.
    uniformity
        HE_s over `uniform_energy(n, d)`: 1 is as spread out as independent uniform directions.
    simplex_ratio
        HE_s over its smallest possible value, that of a regular simplex.
    separation, pair
        Smallest distance of two directions, and the two neurons.
    norm_low, norm_high
        Smallest and largest row norm.
    rank
        r at η = 0.5 under the paper's rule.
    seconds
        Time taken.
    note
        Why a number is missing; empty if none is.
    """

    tensor: str
    n: int
    d: int
    s: float
    uniformity: float | None = None
    simplex_ratio: float | None = None
    separation: float | None = None
    pair: tuple[int, int] | None = None
    norm_low: float | None = None
    norm_high: float | None = None
    rank: int | None = None
    seconds: float = 0.0
    note: str = ""

    def record(self) -> dict[str, Any]:
        """The row as plain numbers, for JSON and CSV."""
        return asdict(self)


def describe_layer(tensor: str, W: Tensor, *, s: float = 1.0, progress: Progress = silent) -> LayerRow:
    """Measure one weight matrix.

    Parameters
    ----------
    tensor
        Its name.
    W
        Weights, (n, d), one neuron per row.
    s
        Exponent of the energy.
    progress
        Called with the share of the work done.

    Returns
    -------
    LayerRow
        The numbers; a matrix for which they are not defined gets a note instead.
    """
    start = perf_counter()
    n, d = W.shape

    try:
        norms = as_neurons(W, tensor, at_least=2).true_norms()
        reference = uniform_energy(n, d, s=s)
        total = energy(W, s=s, progress=lambda done: progress(0.4 * done))
        separation = min_separation(W, progress=lambda done: progress(0.4 + 0.5 * done))
        return LayerRow(
            tensor=tensor,
            n=n,
            d=d,
            s=s,
            uniformity=total / reference if reference else None,
            simplex_ratio=total / simplex_energy(n, s=s) if s else None,
            separation=separation.distance,
            pair=separation.pair,
            norm_low=float(norms.min()),
            norm_high=float(norms.max()),
            rank=principal_space(W).rank,
            seconds=perf_counter() - start,
        )
    except InputError as error:
        return LayerRow(tensor=tensor, n=n, d=d, s=s, seconds=perf_counter() - start, note=str(error))


def describe_layers(
    model: Model | Checkpoint,
    names: str | Sequence[str] = "*",
    *,
    s: float = 1.0,
    device: str = "cpu",
    progress: Progress = silent,
) -> Iterator[LayerRow]:
    """Measure matrices of a model, one in memory at a time.

    Parameters
    ----------
    model
        As for `load_layer`, or an open checkpoint.
    names
        Which matrices: their names, or a shell pattern. Default: all.
    s
        Exponent of the energy.
    device
        Where to compute.
    progress
        Called with the number of matrices done, fractions included.

    Yields
    ------
    LayerRow
        In the order of `names`.

    Raises
    ------
    ModelError
        The model cannot be found, read or trusted. What is wrong with one matrix is its row's note.
    """
    checkpoint = model if isinstance(model, Checkpoint) else open_checkpoint(model)
    chosen = checkpoint.matrices(names) if isinstance(names, str) else names
    for k, name in enumerate(chosen):
        try:
            W = checkpoint.matrix(name).to(device)
        except InputError as error:
            n, d = checkpoint.shape(name)
            yield LayerRow(tensor=name, n=n, d=d, s=s, note=str(error))
            continue
        yield describe_layer(name, W, s=s, progress=partial(_from, k, progress))
        progress(k + 1)


def _from(start: int, progress: Progress, done: float) -> None:
    progress(start + done)
