"""Keys of a layer: how far from orthonormal, and the spectrum of their second moment."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sphere_theory.errors import InputError, RangeError, ShapeError
from sphere_theory.experiments.key_geometry import KeyGeometry, chance_cosine, orthonormality, participation
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.hosts.synthetic import SyntheticLayer

HOST = SyntheticLayer((16, 24))


def _gauss(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_orthonormal_keys_are_so_but_for_a_unit():
    Q = torch.linalg.qr(_gauss(20, 8)).Q
    found = orthonormality(3 * Q)
    assert found["error_raw"] == pytest.approx(8.0)  # 3² − 1
    assert [found[key] for key in ("error_best", "error_unit", "cosine")] == pytest.approx([0] * 3, abs=1e-7)
    assert [found["participation"], found["entropy_rank"]] == pytest.approx([8, 8])
    assert (found["condition"], found["norm_spread"]) == pytest.approx((1, 0))
    assert (found["keys"], found["dimension"]) == (8, 20)


def test_the_best_error_is_that_of_the_best_scale():
    X = _gauss(20, 8) * torch.arange(1, 9)
    gram, identity = X.T @ X, torch.eye(8, dtype=torch.float64)
    scale = gram.trace() / gram.square().sum()  # of min_c ‖cG − I‖²
    best = float((scale * gram - identity).norm() / identity.norm())
    assert orthonormality(X)["error_best"] == pytest.approx(best)
    worse = float((1.1 * scale * gram - identity).norm() / identity.norm())
    assert worse > best


def test_parallel_keys_are_as_far_as_can_be():
    found = orthonormality(_gauss(20, 1).expand(20, 8))
    assert found["error_best"] == pytest.approx(math.sqrt(1 - 1 / 8))
    assert (found["cosine"], found["participation"]) == pytest.approx((1, 1))
    assert found["condition"] == math.inf


def test_more_keys_than_dimensions_cannot_be_independent():
    found = orthonormality(_gauss(8, 20))
    assert found["condition"] == math.inf
    assert found["error_best"] >= math.sqrt(1 - 8 / 20)


@pytest.mark.parametrize(
    ("keys", "error", "match"),
    [
        (_gauss(8, 1), ShapeError, r"keys: expected at least two columns, got shape \(8, 1\)"),
        (
            _gauss(8, 3) * torch.tensor([1, 0, 1]),
            RangeError,
            "keys: expected no zero column, got column 1 is zero",
        ),
    ],
)
def test_sets_that_have_no_orthonormality_are_refused(keys, error, match):
    with pytest.raises(error, match=match):
        orthonormality(keys)


@pytest.mark.parametrize("d", [2, 9, 40])
def test_the_cosine_by_chance_is_that_of_random_directions(d):
    X = _gauss(20_000, d)
    cosines = X[:, 0] / X.norm(dim=1)
    assert chance_cosine(d) == pytest.approx(float(cosines.abs().mean()), rel=0.03)


def test_participation_counts_equal_eigenvalues():
    assert participation(torch.tensor([2.0, 2.0, 2.0, 0.0])) == pytest.approx(3)


def test_key_geometry_has_every_set_and_the_spectrum(tmp_path):
    task = KeyGeometry(SyntheticLayer((16, 24), "orthonormal"), sizes=(5, 20, 100), draws=2)
    rows = task.rows(tmp_path)
    sets = [row for row in rows if row["kind"] == "set"]
    assert [(row["of"], row["keys"]) for row in sets] == [
        (of, size) for of in ("preserved", "edited") for size in (5, 20) for _ in range(2)
    ]
    # The theorem's own hypothesis: the keys to edit are of one orthonormal set.
    assert max(row["error_best"] for row in sets if row["of"] == "edited") < 1e-3
    spectrum = [row for row in rows if row["kind"] == "spectrum"]
    places = [row["place"] for row in spectrum]
    assert places == sorted(set(places))
    assert (places[0], places[-1]) == (1, 24)
    assert [row["share"] for row in spectrum] == pytest.approx([1 / 24] * len(places))
    assert [row["participation"] for row in spectrum] == pytest.approx([24] * len(places))
    assert task.config()["host"] == "orthonormal keys"
    assert all(isinstance(value, (str, int, float)) for row in rows for value in row.values())
    assert rows == task.rows(tmp_path)


def test_edits_without_keys_of_their_own_are_refused(tmp_path, monkeypatch):
    task = KeyGeometry(HOST)
    monkeypatch.setattr(KeyGeometry, "made", lambda self, folder, edits: (None, None))
    with pytest.raises(InputError, match="host: expected one whose edits are known by their keys alone"):
        task.rows(tmp_path)


def test_uneven_keys_are_farther_from_orthonormal_than_even_ones(tmp_path):
    error = {}
    for spectrum in ("flat", "power"):
        rows = KeyGeometry(SyntheticLayer((16, 24), spectrum=spectrum), sizes=(12,)).rows(tmp_path)
        error[spectrum] = np.mean([row["error_best"] for row in rows if row["kind"] == "set"])
    assert error["power"] > error["flat"] + 0.05


@pytest.mark.parametrize(
    ("task", "label"),
    [
        (KeyGeometry(MiniLM(5)), "MiniLM layer 5"),
        (KeyGeometry(SyntheticLayer(source="clustered")), "clustered keys, power spectrum"),
    ],
)
def test_a_layer_is_called_by_its_keys(task, label):
    assert task.config()["host"] == label
