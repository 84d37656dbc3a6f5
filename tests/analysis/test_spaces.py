"""Spaces of a layer before any edit: keys, the energy's directions, SPHERE's space and AlphaEdit's."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from sphere_theory.analysis.spaces import (
    SPACES,
    EnergyDirections,
    KeyGeometry,
    SpaceOverlap,
    chance_cosine,
    inside,
    moment_gradient,
    orthonormality,
    overlap,
    participation,
    rival_spaces,
    tasks,
)
from sphere_theory.editing.alphaedit import AlphaEdit, null_space
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.energy import energy, energy_gradient
from sphere_theory.errors import RangeError, ShapeError
from sphere_theory.spectrum import Subspace, principal_space

SMALL = {"model": "synthetic", "shape": (16, 24), "source": "gaussian", "spectrum": "power"}


def _gauss(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def energy_rows(tmp_path_factory):
    task = EnergyDirections(**SMALL, batch=6, batches=2, threshold=0.5)
    return task, task.rows(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def overlap_rows(tmp_path_factory):
    task = SpaceOverlap(**SMALL, batch=6, batches=2, thresholds=(1e-9, 0.5, 100.0))
    return task, task.rows(tmp_path_factory.mktemp("keys"))


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


@pytest.mark.parametrize("s", [0.5, 1.0, 2.0])
def test_the_two_parts_are_gradients_of_mean_and_covariance(s):
    W = (_gauss(7, 5) * torch.arange(1, 8)[:, None]).requires_grad_()
    units = W / W.norm(dim=1, keepdim=True)
    mean = 2 ** (-s / 2) * (s / 2) * units.sum(dim=0).square().sum()
    covariance = 2 ** (-s / 2) * (s / 4) * (s / 2 + 1) * (units.T @ units).square().sum()
    for part, found in zip((mean, covariance), moment_gradient(W.detach(), s=s), strict=True):
        (expected,) = torch.autograd.grad(part, W, retain_graph=True)
        torch.testing.assert_close(found, expected)


def test_mean_and_covariance_explain_the_gradient_of_nearly_orthogonal_neurons():
    W = _gauss(30, 4000)
    slope, (mean, covariance) = energy_gradient(W), moment_gradient(W)
    error = (slope - mean - covariance).norm() / slope.norm()
    assert error < 0.02
    assert (slope - mean).norm() / slope.norm() > 5 * error


def test_the_logarithmic_energy_has_no_such_gradient():
    with pytest.raises(RangeError, match="s: expected"):
        moment_gradient(_gauss(4, 3), s=0.0)


def test_shares_are_those_inside():
    basis = torch.linalg.qr(_gauss(10, 4)).Q
    part, rest = Subspace(basis[:, :1]), Subspace(basis[:, 2:])
    assert overlap(part, Subspace(basis)) == pytest.approx(1)
    assert overlap(Subspace(basis), part) == pytest.approx(1 / 4)
    assert overlap(part, rest) == pytest.approx(0, abs=1e-12)
    assert inside(3 * basis[:, :1].T + 4 * basis[:, 1:2].T, part) == pytest.approx(9 / 25)


def test_rival_spaces_are_orthonormal_and_of_one_rank():
    W = _gauss(12, 20)
    slope = energy_gradient(W)
    spaces = rival_spaces(W, slope, eta=0.5, seed=0)
    assert set(spaces) == set(SPACES)
    rank = principal_space(W, eta=0.5).rank
    for name, space in spaces.items():
        assert space.rank == (1 if name == "mean" else rank)
        torch.testing.assert_close(space.basis.T @ space.basis, torch.eye(space.rank, dtype=torch.float64))
    # Of all spaces of that rank the gradient's own holds most of it; the random one is of the neurons' span.
    shares = {name: inside(slope, space) for name, space in spaces.items()}
    assert max(shares, key=shares.get) == "gradient"
    assert inside(spaces["random"].basis.T, principal_space(W, eta=1.0)) == pytest.approx(1)
    mean = (W / W.norm(dim=1, keepdim=True)).mean(dim=0)
    assert inside(mean[None], spaces["mean"]) == pytest.approx(1)


def test_key_geometry_has_every_set_and_the_spectrum(tmp_path):
    task = KeyGeometry("synthetic", shape=(16, 24), source="orthonormal", sizes=(5, 20, 100), draws=2)
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
    assert {row["host"] for row in rows} == {"orthonormal keys"}
    assert rows == task.rows(tmp_path)


def test_uneven_keys_are_farther_from_orthonormal_than_even_ones(tmp_path):
    error = {}
    for spectrum in ("flat", "power"):
        rows = KeyGeometry(**SMALL | {"spectrum": spectrum}, sizes=(12,)).rows(tmp_path)
        error[spectrum] = np.mean([row["error_best"] for row in rows if row["kind"] == "set"])
    assert error["power"] > error["flat"] + 0.05


def test_energy_rows_are_one_for_each_space_part_and_edit(energy_rows):
    task, rows = energy_rows
    kinds = [row["kind"] for row in rows]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "gradient": len(SPACES),
        "model": 3,
        "edit": len(SPACES) * len(task.editors) * 2,
    }
    assert all(isinstance(value, (str, int, float, bool)) for row in rows for value in row.values())


def test_what_a_projector_leaves_is_the_change_of_the_energy(energy_rows, tmp_path):
    task, rows = energy_rows
    memory, stream = task.made(tmp_path, 12)
    (row,) = [
        row
        for row in rows
        if row["kind"] == "edit" and (row["edit"], row["draw"], row["space"]) == ("memit-seq", 1, "principal")
    ]
    edit = MemitSequential(ridge=task.ridge).update(memory, stream.batch(6, 12)).dense()
    U = principal_space(memory.W, eta=task.eta).basis
    kept, start = edit - task.alpha * (edit @ U) @ U.T, energy(memory.W)
    change, left = (energy(memory.W + delta) - start for delta in (edit, kept))
    part = energy(memory.W + edit @ U @ U.T) - start
    assert row["change_left"] == pytest.approx(abs(left / change), rel=1e-6)
    assert row["change_inside"] == pytest.approx(part / change, rel=1e-6)
    assert row["norm_left"] == pytest.approx(float(kept.norm() / edit.norm()))
    assert row["edit_inside"] == pytest.approx(inside(edit, Subspace(U)))
    shrunk = energy(memory.W + edit * (kept.norm() / edit.norm())) - start
    assert row["change_shrunk"] == pytest.approx(abs(shrunk / change), rel=1e-6)


def test_an_editor_without_a_null_space_is_left_out(tmp_path):
    rows = EnergyDirections(**SMALL, batch=6, batches=1, threshold=1e-9).rows(tmp_path)
    assert {row["edit"] for row in rows if row["kind"] == "edit"} == {"memit-seq", "ft"}


def test_the_overlap_is_that_of_the_two_spaces(overlap_rows, tmp_path):
    task, rows = overlap_rows
    memory, stream = task.made(tmp_path, 12)
    U, Q = principal_space(memory.W, eta=0.5), Subspace(null_space(memory, 0.5))
    none, some, all_of_it = [row for row in rows if row["kind"] == "threshold"]
    assert (none["kept"], none["inside"], none["chance"]) == (0, 0.0, 0.0)
    assert (some["kept"], some["chance"]) == (Q.rank, Q.rank / 24)
    assert some["inside"] == pytest.approx(overlap(U, Q))
    assert (all_of_it["kept"], all_of_it["inside"]) == (24, pytest.approx(1))
    curve = [row for row in rows if row["kind"] == "curve"]
    assert [row["kept"] for row in curve] == list(range(1, 25))
    assert curve[Q.rank - 1]["inside"] == some["inside"]
    edits = [row for row in rows if row["kind"] == "edit"]
    assert [(row["edit"], row.get("threshold")) for row in edits[::2]] == [
        ("memit-seq", None),
        ("alphaedit", 0.5),
        ("alphaedit", 100.0),
    ]
    update = AlphaEdit(task.l2, 0.5).update(memory, stream.batch(6, 12)).dense()
    assert edits[3]["edit_inside"] == pytest.approx(inside(update, U))
    assert edits[3]["chance"] == pytest.approx(overlap(U, Q) * U.rank / Q.rank)
    assert edits[0]["chance"] == U.rank / 24


def test_tasks_are_plain_different_and_fewer_if_quick():
    full, quick = tasks(quick=False), tasks(quick=True)
    assert len(set(full)) == len(full) > len(set(quick)) == len(quick)
    for kind in (KeyGeometry, EnergyDirections, SpaceOverlap):
        own = [task for task in full if type(task) is kind]
        assert {task.layer for task in own if task.model == "minilm"} == set(range(6))
        assert {task.seed for task in own if task.model == "synthetic"} == {0, 1, 2}
        assert {task.layer for task in quick if type(task) is kind and task.model == "minilm"} == {3}
    for task in full:
        for field in dataclasses.fields(task):
            value = getattr(task, field.name)
            assert isinstance(value, (str, int, float, tuple))


@pytest.mark.parametrize(
    ("task", "label"),
    [
        (KeyGeometry(layer=5), "MiniLM layer 5"),
        (KeyGeometry("synthetic", source="clustered"), "clustered keys, power spectrum"),
    ],
)
def test_a_layer_is_called_by_its_keys(task, label):
    assert task.host == label
