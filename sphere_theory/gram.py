"""The n×n Gram matrix G = WWᵀ: computed once, then kept current under low-rank edits.

Norms, cosines and energies all follow from G, and an edit ΔW = L Rᵀ of rank b changes it by
WR·Lᵀ + L·(WR)ᵀ + L(RᵀR)Lᵀ, at O(ndb + n²b) operations instead of O(n²d).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sphere_theory.arrays import A, Array, as_count, as_matrix, as_real, full_precision, like
from sphere_theory.energy import total_energy
from sphere_theory.errors import RangeError, ShapeError
from sphere_theory.neurons import NORM_LIMIT, Neurons, as_neurons


def gram_matrix(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n n"]:
    """G = WWᵀ in float64, from the products of its upper blocks alone.

    Parameters
    ----------
    rows
        W, (n, d); pass W.T for the covariance WᵀW.

    Returns
    -------
    Tensor
        (n, n), float64.
    """
    n = len(rows)
    gram = torch.zeros((n, n), dtype=torch.float64, device=rows.device)
    for columns in rows.split(1024, dim=1):
        wide = columns.double()  # widened a slice at a time: no float64 copy of W
        _add_upper(gram, wide, wide)
    return _mirrored(gram)


def add_symmetric(
    A: Float[Tensor, "n n"], X: Float[Tensor, "n k"], Y: Float[Tensor, "n k"], *, alpha: float = 1.0
) -> Float[Tensor, "n n"]:
    """A ← A + α·XYᵀ in place, for a symmetric A and a symmetric product: half of it is computed.

    Parameters
    ----------
    A
        Symmetric.
    X, Y
        With symmetric XYᵀ, as [B, C] and [C, B] or as X and X.
    alpha
        α.

    Returns
    -------
    Tensor
        A.
    """
    _add_upper(A, X, Y, alpha)
    return _mirrored(A)


def _block(A: Tensor) -> int:
    return 256 if A.device.type == "cpu" else 2048


def _add_upper(A: Tensor, X: Tensor, Y: Tensor, alpha: float = 1.0) -> None:
    size = _block(A)
    for start in range(0, len(A), size):
        A[start : start + size, start:].addmm_(X[start : start + size], Y[start:].T, alpha=alpha)


def _mirrored(A: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    size = _block(A)
    for start in range(0, len(A), size):
        A[start + size :, start : start + size] = A[start : start + size, start + size :].T
    return A


class GramTracker(Generic[A]):
    """HE, norms and the Gram matrix of a layer under a stream of low-rank edits.

    Holds a copy of W and G = WWᵀ in the dtype of W, and row norms in float64. Near-coincident
    pairs are recomputed from W as in `energy`. Rounding accumulates in G; every `check_every`
    updates the drift is measured with a random probe, and G is computed afresh when it exceeds
    `tolerance`.

    Parameters
    ----------
    W
        Weight matrix, (n, d), one neuron per row; numpy or torch.
    tolerance
        Drift at which G is computed afresh. Default 1e-6.
    check_every
        Updates between two measurements of the drift. Default 32.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ZeroRowError
        As for `energy`.
    RangeError
        Row norms so extreme that G would overflow or vanish in the dtype of W.
    """

    _tolerance: float
    _check_every: int
    _model: Array
    _weight: Tensor
    _lent: bool  # whether the weights are the caller's
    _gram: Tensor
    _norms: Tensor
    _peaks: Tensor  # largest norm of each row since its products were computed from W
    _updates: int
    _refreshes: int

    def __init__(self, W: A, *, tolerance: float = 1e-6, check_every: int = 32) -> None:
        self._tolerance = as_real(tolerance, "tolerance", low=0, low_open=True)
        self._check_every = as_count(check_every, "check_every", low=1)
        self._weight, self._lent = as_matrix(W, "W").clone(), False
        self._model = np.empty(0) if isinstance(W, np.ndarray) else torch.empty(0)  # the kind, not the array
        self._updates = 0
        self._refreshes = -1  # the first computation is not a refresh
        self.refresh()

    def state(self) -> dict[str, Tensor]:
        """Everything that later updates depend on, as named tensors: views, except for the counters."""
        return {
            "weight": self._weight,
            "gram": self._gram,
            "norms": self._norms,
            "peaks": self._peaks,
            "counters": torch.tensor([self._updates, self._refreshes]),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where another tracker was.

        Parameters
        ----------
        state
            What its `state` returned, of a layer of the same shape and dtype.

        Raises
        ------
        ShapeError
            Of another shape or dtype.
        """
        for name, held in self.state().items():
            found = state.get(name)
            if found is None or found.shape != held.shape or found.dtype != held.dtype:
                got = "nothing" if found is None else f"shape {tuple(found.shape)} of {found.dtype}"
                argument = f"state[{name!r}]"
                raise ShapeError(argument, f"shape {tuple(held.shape)} of {held.dtype}", got)
        self._own()
        # Copied into its own tensors: their layout decides how later products round.
        for name, held in self.state().items():
            held.copy_(state[name])
        self._updates, self._refreshes = state["counters"].tolist()

    @property
    def weight(self) -> A:
        """The current W, (n, d), a view of the tracker's own copy: read it, do not write to it."""
        return like(self._weight, self._model)

    @property
    def gram(self) -> A:
        """The current G = WWᵀ, (n, n), a view."""
        return like(self._gram, self._model)

    @property
    def updates(self) -> int:
        """Number of updates so far."""
        return self._updates

    @property
    def refreshes(self) -> int:
        """How often G was computed afresh, by request or automatically."""
        return self._refreshes

    def row_norms(self) -> A:
        """Norms ‖w_i‖, (n,), float64."""
        return like(self._norms.clone(), self._model)

    @full_precision()
    def update(self, left: Array, right: Array, *, weight: Array | None = None) -> None:
        """Apply ΔW = L Rᵀ.

        Parameters
        ----------
        left
            L, (n, b).
        right
            R, (d, b).
        weight
            W + L Rᵀ, for a caller who has computed it: that spares a pass over W. It is kept as it is, not
            copied, and must not be written to. None: computed here.

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError
            Factors that do not fit W, or are not finite; the tracker is unchanged.
        RangeError
            Edited rows that vanish or overflow; the tracker is unchanged.
        """
        n, d = self._weight.shape
        thin = as_matrix(left, "left", rows=n)
        wide = as_matrix(right, "right", rows=d, columns=thin.shape[1])
        thin, wide = _balanced(thin.to(self._weight.device), wide.to(self._weight.device), self._weight.dtype)
        # ΔG = A Lᵀ + L Aᵀ with A = WR + ½ L(RᵀR): one symmetric product of rank 2b.
        half = self._weight @ wide + 0.5 * thin @ (wide.T @ wide)
        after = None if weight is None else as_matrix(weight, "weight", rows=n, columns=d).to(self._weight)
        norms = (self._norms.square() + 2 * (half.double() * thin.double()).sum(dim=1)).sqrt()
        # A row that lost half of its length is a difference of larger ones: its products are computed anew.
        shrunk = (~(norms > self._peaks / 2)).nonzero().flatten()
        rows = torch.addmm(self._weight[shrunk], thin[shrunk], wide.T) if after is None else after[shrunk]
        norms[shrunk] = torch.linalg.vector_norm(rows.double(), dim=1)
        _require_products_fit(norms, self._weight.dtype, "left, right")
        if after is None:
            self._own().addmm_(thin, wide.T)[shrunk] = rows
        else:
            self._weight, self._lent = after, True
        add_symmetric(self._gram, torch.cat([half, thin], dim=1), torch.cat([thin, half], dim=1))
        self._norms, self._peaks = norms, torch.maximum(self._peaks, norms)
        self._recompute(shrunk)
        self._updates += 1
        if self._updates % self._check_every == 0 and self.drift > self._tolerance:
            self.refresh()

    def _own(self) -> Tensor:
        """The weights, ready to be written to: a copy if they are the caller's."""
        if self._lent:
            self._weight, self._lent = self._weight.clone(), False
        return self._weight

    def _recompute(self, rows: Int[Tensor, " k"]) -> None:
        if len(rows):
            chosen = self._weight[rows]
            products = torch.zeros((len(rows), len(self._weight)), dtype=torch.float64, device=rows.device)
            for here, all_rows in zip(
                chosen.split(1024, dim=1), self._weight.split(1024, dim=1), strict=True
            ):
                products.addmm_(here.double(), all_rows.double().T)
            self._gram[rows] = products.to(self._gram.dtype)
            self._gram[:, rows] = self._gram[rows].T
            self._peaks[rows] = self._norms[rows]

    def energy(self, s: float = 1.0) -> float:
        """HE_s of the current weights, from G at O(n²) operations.

        Parameters
        ----------
        s
            Exponent, s ≥ 0.

        Returns
        -------
        float
            As `energy(W, s=s)`, to the drift.

        Raises
        ------
        RangeError
            s negative or not finite.
        """
        s = as_real(s, "s", low=0)
        with full_precision():
            exponents = torch.zeros(len(self._norms), dtype=torch.int32, device=self._norms.device)
            neurons = Neurons(self._weight, self._norms, exponents)
            return total_energy(neurons, s, gram=lambda rows, cols: self._gram[rows, cols])

    @property
    def drift(self) -> float:
        """Estimate of ‖G − WWᵀ‖_F/‖G‖_F, measured now.

        One probe z of independent signs: E‖(G − WWᵀ)z‖² = ‖G − WWᵀ‖_F² (Hutchinson). O(nd).
        """
        generator = torch.Generator().manual_seed(self._updates)
        signs = torch.randint(0, 2, (len(self._weight),), generator=generator).to(self._norms) * 2 - 1
        image = torch.zeros_like(signs)
        for columns in self._weight.split(4096, dim=1):
            block = columns.double()
            image += block @ (block.T @ signs)
        error = self._gram.double() @ signs - image
        return float(error.norm() / torch.linalg.vector_norm(self._gram, dtype=torch.float64))

    @full_precision()
    def refresh(self) -> None:
        """Compute G and the norms afresh from the current weights.

        Raises
        ------
        RangeError
            Row norms so extreme that G would overflow or vanish.
        """
        norms = as_neurons(self._weight).true_norms()
        _require_products_fit(norms, self._weight.dtype, "W")
        self._gram = gram_matrix(self._weight).to(self._weight.dtype)
        self._norms, self._peaks = norms, norms.clone()
        self._refreshes += 1


def _balanced(left: Tensor, right: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The same product from factors of which neither is extreme, in the dtype of the weights."""
    exponents = torch.frexp(right.abs().amax(dim=0)).exponent
    return torch.ldexp(left, exponents).to(dtype), torch.ldexp(right, -exponents).to(dtype)


def _require_products_fit(norms: Float[Tensor, " n"], dtype: torch.dtype, argument: str) -> None:
    limit = NORM_LIMIT[dtype]
    bad = (~((norms > 1 / limit) & (norms < limit))).nonzero().flatten()  # NaN is bad too
    if len(bad):
        row = int(bad[0])
        expected = f"row norms between {1 / limit:.3g} and {limit:.3g}, whose products fit {dtype}"
        raise RangeError(
            argument, expected, f"{len(bad)} rows outside", [f"row {row}: {float(norms[row]):.3g}"]
        )
