"""Synthetic keys: they have the kind, the spectrum and the second moment that they claim."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from naive import check_refused

from sphere_theory.errors import InputError, RangeError
from sphere_theory.hosts.keys import KINDS, SPECTRA, SyntheticKeys, coloured

D = 8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_keys_have_the_second_moment_that_they_claim(kind: str, spectrum: str) -> None:
    source = SyntheticKeys(kind, spectrum, decay=0.7, seed=5)
    keys, C0 = source.draw(40_000, D).double(), source.second_moment(D)
    found = keys.T @ keys / len(keys)
    spread = torch.sqrt(torch.outer(C0.diagonal(), C0.diagonal()))
    # Entries of a Gaussian second moment are right to about √(2/count) of that: five times that is allowed.
    assert ((found - C0).abs() / spread).max() < 5 * math.sqrt(2 / len(keys))


def test_the_second_moment_of_clusters_is_not_that_of_their_average() -> None:
    """The check above has power: the diagonal spectrum is far from what clustered keys have."""
    source = SyntheticKeys("clustered", "flat", seed=5)
    keys = source.draw(40_000, D).double()
    assert (keys.T @ keys / len(keys) - torch.eye(D)).abs().max() > 0.2


def test_spectra() -> None:
    place = np.arange(1, D + 1)
    for name, expected in (
        ("flat", place**0.0),
        ("power", place**-1.5),
        ("exponential", 10.0 ** (-1.5 * (place - 1) / 7)),
    ):
        values = SyntheticKeys(spectrum=name, decay=1.5).eigenvalues(D).numpy()
        np.testing.assert_allclose(values, expected * D / expected.sum(), rtol=1e-12)
        np.testing.assert_array_equal(
            SyntheticKeys(spectrum=name, decay=1.5).second_moment(D), np.diag(values)
        )
    assert SyntheticKeys("orthonormal", "power").second_moment(D).equal(torch.eye(D, dtype=torch.float64))


def test_orthonormal_keys_come_in_orthonormal_sets() -> None:
    keys = SyntheticKeys("orthonormal", seed=1).draw(3 * D - 2, D) / math.sqrt(D)
    for block in keys.split(D):
        torch.testing.assert_close(block @ block.T, torch.eye(len(block)))
    assert (keys[:D] @ keys[D : 2 * D].T).abs().max() > 0.1


def test_clustered_keys_are_near_twenty_centres() -> None:
    keys = SyntheticKeys("clustered", "flat", seed=2).draw(400, 50)
    units = keys / keys.norm(dim=1, keepdim=True)
    group = (units @ units.T > 0.6).int()
    assert 10 <= len(torch.unique(group, dim=0)) <= 40
    assert (
        SyntheticKeys("gaussian", "flat", seed=2).draw(400, 50).norm(dim=1) - math.sqrt(50)
    ).abs().mean() < 1


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_reproducible(kind: str) -> None:
    first, again, other = (SyntheticKeys(kind, seed=seed).draw(50, D) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert (first.dtype, first.shape) == (torch.float32, (50, D))


def test_coloured_keys_have_the_second_moment() -> None:
    root = torch.from_numpy(np.random.default_rng(0).normal(size=(D, D)))
    C0 = root @ root.T
    white = SyntheticKeys(spectrum="flat").draw(40_000, D)
    keys = coloured(white, C0)
    assert keys.dtype == torch.float32
    found = (keys.T @ keys).double() / len(keys)
    assert float((found - C0).norm() / C0.norm()) < 0.03
    root = torch.linalg.cholesky(C0)
    torch.testing.assert_close(coloured(white[:3].double(), C0), white[:3].double() @ root.T)
    torch.testing.assert_close(coloured(white[:5000], C0)[4500], coloured(white[4500:4501], C0)[0])


# --- wrong use -------------------------------------------------------------------------------------

BAD_KEYS = {
    "kind": (
        lambda: SyntheticKeys("uniform"),
        RangeError,
        "kind: expected one of 'gaussian', 'orthonormal', 'clustered', got 'uniform'",
    ),
    "spectrum": (
        lambda: SyntheticKeys(spectrum="white"),
        RangeError,
        "spectrum: expected one of 'flat', 'power', 'exponential', got 'white'",
    ),
    "decay": (lambda: SyntheticKeys(decay=-1.0), RangeError, "decay: expected a number in [0, ∞), got -1.0"),
    "source seed": (
        lambda: SyntheticKeys(seed=1.5),
        RangeError,
        "seed: expected an integer ≥ 0, got 1.5",
    ),
    "count": (lambda: SyntheticKeys().draw(0, 4), RangeError, "count: expected an integer ≥ 1, got 0"),
    "second moment": (
        lambda: coloured(torch.ones(3, D), -torch.eye(D)),
        InputError,
        "second_moment: expected a positive definite matrix, got one whose leading minor of order 1 is not "
        "positive",
    ),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", BAD_KEYS)
def test_wrong_use(name: str) -> None:
    check_refused(*BAD_KEYS[name])
