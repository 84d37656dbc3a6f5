"""How far a layer's keys are from the theorem's orthonormal inputs, and the spectrum of their C0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_matrix, frobenius, full_precision
from sphere_theory.errors import InputError, RangeError, ShapeError
from sphere_theory.experiments.base import OnHost, Row
from sphere_theory.hosts.edits import EditStream

# Points of a spectrum of d eigenvalues: it is drawn, not tabulated.
_POINTS = 48


@full_precision()
def orthonormality(keys: Float[Tensor, "d m"]) -> Row:
    """How far inputs are from XᵀX = I, which Theorem 1 supposes.

    With G = XᵀX of m keys and eigenvalues λ_k, the participation ratio is p = (Σλ)²/Σλ². The best scaling
    leaves min_c ‖cG − I‖_F/‖I‖_F = √(1 − p/m): orthonormality but for a unit is p = m.

    Parameters
    ----------
    keys
        X, (d, m), m ≥ 2, no zero column.

    Returns
    -------
    dict
        keys (m), dimension (d); error_raw = ‖G − I‖_F/√m as they are, error_best with one best scale for
        all, error_unit with every key scaled to length 1; cosine, mean |cos| of two keys, and cosine_chance,
        that of two random directions; participation p, entropy_rank exp(−Σ q ln q) with q = λ/Σλ, condition,
        the largest over the smallest singular value of X (infinite for m > d); norm_spread, the standard
        deviation of the keys' norms over their mean.

    Raises
    ------
    ShapeError
        Fewer than two keys.
    RangeError
        A zero key.
    """
    X = as_matrix(keys, "keys").double()
    d, m = X.shape
    if m < 2:
        raise ShapeError("keys", "at least two columns", f"shape {tuple(X.shape)}")
    norms = torch.linalg.vector_norm(X, dim=0)
    if not bool(norms.all()):
        raise RangeError("keys", "no zero column", f"column {int(norms.argmin())} is zero")
    gram, cosines = X.T @ X, (X / norms).T @ (X / norms)
    identity = torch.eye(m, dtype=X.dtype, device=X.device)
    values = torch.linalg.eigvalsh(gram).flip(0).clamp_min(0)
    p = participation(values)
    known = values > torch.finfo(torch.float64).eps * max(d, m) * values[0]
    full = bool(known.all()) and m <= d
    return {
        "keys": m,
        "dimension": d,
        "error_raw": frobenius(gram - identity) / math.sqrt(m),
        "error_best": math.sqrt(max(0.0, 1 - p / m)),
        "error_unit": frobenius(cosines - identity) / math.sqrt(m),
        "cosine": float((cosines - identity).abs().sum()) / (m * (m - 1)),
        "cosine_chance": chance_cosine(d),
        "participation": p,
        "entropy_rank": _entropy_rank(values),
        "condition": math.sqrt(float(values[0] / values[-1])) if full else math.inf,
        "norm_spread": float(norms.std() / norms.mean()),
    }


def participation(values: Float[Tensor, " k"]) -> float:
    """Participation ratio (Σλ)²/Σλ² of a spectrum: how many equal eigenvalues would spread as far.

    Parameters
    ----------
    values
        Eigenvalues, none negative, not all zero.

    Returns
    -------
    float
        Between 1 and their number.
    """
    shares = values / values.sum()
    return float(1 / shares.square().sum())


def _entropy_rank(values: Float[Tensor, " k"]) -> float:
    shares = values / values.sum()
    return float(torch.exp(-torch.special.xlogy(shares, shares).sum()))


def chance_cosine(d: int) -> float:
    """E|cos| of two independent uniform directions: Γ(d/2)/(√π Γ((d + 1)/2)).

    Parameters
    ----------
    d
        Dimension.

    Returns
    -------
    float
        About √(2/(πd)).
    """
    return math.exp(math.lgamma(d / 2) - math.lgamma((d + 1) / 2)) / math.sqrt(math.pi)


@dataclass(frozen=True)
class KeyGeometry(OnHost):
    """Orthonormality of a layer's keys, and the spectrum of their second moment.

    Parameters
    ----------
    sizes
        Sizes m of the sets of keys; those that the layer has not, or more than d, are left out.
    draws
        Random sets of each size.
    """

    sizes: tuple[int, ...] = (10, 30, 100, 300, 1000)
    draws: int = 3

    name: ClassVar[str] = "keys"

    def rows(self, folder: Path) -> list[Row]:
        """Measure them.

        Parameters
        ----------
        folder
            Where recorded keys are kept.

        Returns
        -------
        list of dict
            kind "set": `orthonormality` of random sets by draw, of "preserved" keys K0 and of "edited" ones
            (column "of"). kind "spectrum": place k and share λ_k/Σλ of the eigenvalues of C0, with
            participation and entropy_rank of all of them.

        Raises
        ------
        InputError
            A host whose keys depend on its weights.
        """
        # Each fact once; of orthonormal keys the first d are one set.
        memory, stream = self.made(folder, min(max(self.sizes), self.host.shape[1]))
        if not isinstance(stream, EditStream):
            raise InputError("host", "one whose edits are known by their keys alone", str(self.host))
        generator = torch.Generator().manual_seed(self.seed)
        rows: list[Row] = []
        for of, keys in (("preserved", stream.preserved), ("edited", stream.own_keys(0, len(stream)))):
            for size in self.sizes:
                if not 2 <= size <= min(keys.shape):
                    continue
                for draw in range(self.draws):
                    chosen = torch.randperm(len(keys), generator=generator)[:size]
                    found = orthonormality(keys[chosen].T)
                    rows.append({"kind": "set", "of": of, "draw": draw} | found)
        values = torch.linalg.eigvalsh(memory.moment()).flip(0).clamp_min(0)
        ranks = {"participation": participation(values), "entropy_rank": _entropy_rank(values)}
        shares = (values / values.sum()).tolist()
        rows += [
            {"kind": "spectrum", "place": k + 1, "share": shares[k], "dimension": len(shares)} | ranks
            for k in _places(len(shares))
        ]
        return rows


def _places(count: int) -> list[int]:
    """Places from 0 to count − 1, evenly spread on a logarithmic axis."""
    steps = torch.linspace(0, math.log(count), _POINTS, dtype=torch.float64).exp()
    return sorted({min(count, round(float(step))) - 1 for step in steps})
