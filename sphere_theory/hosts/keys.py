"""Synthetic keys: a chosen kind, and a chosen spectrum of their second moment."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_choice, as_count, as_real
from sphere_theory.errors import InputError

SPECTRA = ("flat", "power", "exponential")
KINDS = ("gaussian", "orthonormal", "clustered")

# Number of centres of clustered keys, and the share of the variance that is not theirs.
_CENTRES, _WITHIN = 20, 0.1


@dataclass(frozen=True)
class SyntheticKeys:
    """Synthetic keys with a chosen second moment.

    Parameters
    ----------
    kind
        "gaussian": independent, with second moment C0; "orthonormal": random orthonormal sets of d keys one
        after the other; "clustered": Gaussian around one of 20 Gaussian centres, a tenth of the variance
        within.
    spectrum
        Eigenvalues before scaling, k = 1 … d: "flat": 1; "power": k^(−decay); "exponential":
        10^(−decay·(k − 1)/(d − 1)). Of C0; for clustered keys those that C0 has on average over the centres.
    decay
        Of the spectrum. Default 1.
    seed
        Of the eigenvectors and keys.

    Raises
    ------
    RangeError
        An unknown name, a decay that is negative or not finite.
    """

    kind: str = "gaussian"
    spectrum: str = "power"
    decay: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        as_choice(self.kind, "kind", KINDS)
        as_choice(self.spectrum, "spectrum", SPECTRA)
        as_real(self.decay, "decay", low=0)
        as_count(self.seed, "seed", low=0, high=2**63 - 1)

    def eigenvalues(self, d: int) -> Float[Tensor, " d"]:
        """The spectrum, (d,), float64, falling, with mean 1; flat for orthonormal keys.

        Parameters
        ----------
        d
            Dimension.

        Returns
        -------
        Tensor
            Of trace d.
        """
        place = torch.arange(d, dtype=torch.float64)
        if self.spectrum == "flat" or self.kind == "orthonormal":
            values = torch.ones(d, dtype=torch.float64)
        elif self.spectrum == "power":
            values = (place + 1) ** -self.decay
        else:
            values = 10 ** (-self.decay * place / max(1, d - 1))
        return values * (d / values.sum())

    def second_moment(self, d: int) -> Float[Tensor, "d d"]:
        """C0 = E[k kᵀ] of the keys, exactly, (d, d) float64; for clustered keys given the centres.

        Parameters
        ----------
        d
            Dimension.

        Returns
        -------
        Tensor
            Diagonal, but for clustered keys.
        """
        spread = torch.diag(self.eigenvalues(d))
        if self.kind != "clustered":
            return spread
        centres = self._centres(d, torch.Generator().manual_seed(self.seed)).double()
        return _WITHIN * spread + (1 - _WITHIN) * (centres.T @ centres) / _CENTRES

    def _centres(self, d: int, generator: torch.Generator) -> Float[Tensor, "c d"]:
        return torch.randn((_CENTRES, d), generator=generator).mul_(self.eigenvalues(d).sqrt().float())

    def draw(self, count: int, d: int) -> Float[Tensor, "count d"]:
        """Draw keys, one a row, in float32.

        Parameters
        ----------
        count
            How many.
        d
            Dimension.

        Returns
        -------
        Tensor
            (count, d).
        """
        as_count(count, "count", low=1)
        generator = torch.Generator().manual_seed(self.seed)
        if self.kind == "orthonormal":
            blocks = [
                torch.linalg.qr(torch.randn((d, d), generator=generator)).Q
                for _ in range(math.ceil(count / d))
            ]
            return torch.cat(blocks)[:count] * math.sqrt(d)
        centres = self._centres(d, generator) if self.kind == "clustered" else None
        # Scaled in float32: torch would widen all of it for a float64 factor.
        noise = torch.randn((count, d), generator=generator).mul_(self.eigenvalues(d).sqrt().float())
        if centres is None:
            return noise
        group = torch.randint(_CENTRES, (count,), generator=generator)
        return noise.mul_(math.sqrt(_WITHIN)).add_(centres[group] * math.sqrt(1 - _WITHIN))


def coloured(keys: Float[Tensor, "count d"], second_moment: Float[Tensor, "d d"]) -> Float[Tensor, "count d"]:
    """White keys given a second moment: z ↦ L z with C0 = L Lᵀ.

    Parameters
    ----------
    keys
        Independent standard Gaussian, one a row.
    second_moment
        C0, positive definite.

    Returns
    -------
    Tensor
        (count, d), in the dtype of `keys`.

    Raises
    ------
    InputError
        C0 is not positive definite.
    """
    factor, info = torch.linalg.cholesky_ex(second_moment.double())
    if int(info):
        raise InputError(
            "second_moment",
            "a positive definite matrix",
            f"one whose leading minor of order {int(info)} is not positive",
        )
    factor = factor.to(keys)
    found = torch.empty_like(keys)
    for white, block in zip(keys.split(4096), found.split(4096), strict=True):
        torch.mm(white, factor.T, out=block)
    return found
