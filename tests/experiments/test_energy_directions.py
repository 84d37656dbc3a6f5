"""The energy's gradient and edits' effects on it, in SPHERE's space and its rivals."""

from __future__ import annotations

import pytest
import torch

from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.energy import energy, energy_gradient
from sphere_theory.errors import RangeError
from sphere_theory.experiments.energy_directions import (
    SPACES,
    EnergyDirections,
    moment_gradient,
    rival_spaces,
)
from sphere_theory.experiments.space_overlap import inside
from sphere_theory.hosts.synthetic import SyntheticLayer
from sphere_theory.spectrum import Subspace, principal_space

HOST = SyntheticLayer((16, 24))


def _gauss(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def energy_rows(tmp_path_factory):
    task = EnergyDirections(HOST, batch=6, batches=2, threshold=0.5)
    return task, task.rows(tmp_path_factory.mktemp("keys"))


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
    rows = EnergyDirections(HOST, batch=6, batches=1, threshold=1e-9).rows(tmp_path)
    assert {row["edit"] for row in rows if row["kind"] == "edit"} == {"memit-seq", "ft"}
