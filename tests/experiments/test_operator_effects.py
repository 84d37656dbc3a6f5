"""The projector beside its controls: what is measured is what it says, and a good direction is told."""

from __future__ import annotations

import pytest
import torch

from sphere_theory.experiments import operator_effects as controls
from sphere_theory.experiments.edits import counterfactual_batch, finetune_update, memit_update
from sphere_theory.experiments.operator_effects import (
    EDITS,
    OPERATORS,
    control_trials,
    invariance_defect,
    split_keys,
)
from sphere_theory.models.moments import second_moment
from sphere_theory.projection import SparseProjector
from sphere_theory.spectrum import Subspace, principal_space

D, R = 40, 5


def _gauss(rows: int, columns: int, seed: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def layer():
    """Weights whose principal space is spanned by the first five coordinates, and keys."""
    left = torch.linalg.qr(_gauss(12, 12, 0)).Q
    rest = torch.zeros(7, D, dtype=torch.float64)
    rest[:, R:] = torch.linalg.qr(_gauss(D - R, 7, 1)).Q.T
    W = 1.2 * left[:, :R] @ torch.eye(R, D, dtype=torch.float64) + left[:, R:] @ rest
    mixing = torch.eye(D, dtype=torch.float64) + _gauss(D, D, 2) / 4
    return W, mixing @ _gauss(D, 800, 3)


@pytest.fixture
def trials(layer, monkeypatch):
    monkeypatch.setattr(controls, "BATCH", 10)
    W, keys = layer
    space = principal_space(W, eta=0.5)
    return list(control_trials(W, split_keys(keys), space, alpha=0.8, trials=3, seed=0))


def test_the_last_quarter_of_the_keys_is_held_out(layer):
    keys = layer[1]
    split = split_keys(keys)
    assert torch.equal(split.known, keys[:, :600])
    assert torch.equal(split.kept, keys[:, 600:])
    assert torch.equal(split.moment, second_moment(keys[:, :600]))


def test_every_edit_meets_every_operator(trials):
    assert [(trial.trial, trial.edit) for trial in trials] == [(k, edit) for k in range(3) for edit in EDITS]
    for trial in trials:
        assert tuple(trial.effects) == OPERATORS
        assert (trial.effects["SPHERE"].price is None) == (trial.edit == "random")


def test_shrinkage_has_the_price_1(trials):
    for trial in trials:
        shrunk = trial.effects["same norm"]
        if trial.edit != "random":
            assert shrunk.price == pytest.approx(1, abs=1e-9)
            assert shrunk.interference == pytest.approx(shrunk.survival, abs=1e-9)
            assert shrunk.interference < 1


def test_effects_are_those_of_literal_products(layer, monkeypatch):
    monkeypatch.setattr(controls, "BATCH", 10)
    W, keys = layer
    split, space = split_keys(keys), principal_space(W, eta=0.5)
    memit, tuned, _ = control_trials(W, split, space, alpha=0.8, trials=1, seed=4)
    P = SparseProjector(space, 0.8).dense()
    K, wanted = counterfactual_batch(W, split.known, batch=10, seed=4)
    for trial, update in (
        (memit, memit_update(W, split.known, batch=10, ridge=controls.RIDGE, seed=4)),
        (tuned, finetune_update(W, split.known, batch=10, seed=4)),
    ):
        delta = update.dense()
        effect = trial.effects["SPHERE"]
        moved = (delta @ P @ split.kept).norm() / (delta @ split.kept).norm()
        left = (delta @ P @ K * wanted).sum() / (delta @ K * wanted).sum()
        assert effect.interference == pytest.approx(float(moved))
        assert effect.survival == pytest.approx(float(left))
        assert effect.price == pytest.approx(float(moved / left))


def test_a_projector_along_the_preserved_keys_is_told_from_shrinkage(layer, monkeypatch):
    """Power: preserved keys inside span(U), edit keys outside it. P is then worth its price."""
    monkeypatch.setattr(controls, "BATCH", 10)
    W, keys = layer
    space = principal_space(W, eta=0.5)
    inside = space.basis @ (space.basis.T @ keys)
    known = keys - inside + 0.01 * inside
    split = controls.SplitKeys(known, inside[:, 600:], second_moment(known))
    memit, tuned, _ = control_trials(W, split, space, alpha=0.8, trials=1, seed=0)
    for trial in (memit, tuned):
        assert trial.effects["SPHERE"].price < 0.5
        assert trial.effects["same norm"].price == pytest.approx(1)


def test_the_best_step_cannot_be_improved(layer):
    W, keys = layer
    K, wanted = counterfactual_batch(W, keys, batch=10, seed=1)
    delta = finetune_update(W, keys, batch=10, seed=1).dense()

    def loss(factor: float) -> float:
        return float((wanted - factor * delta @ K).norm())

    assert loss(1.0) < min(loss(0.99), loss(1.01), loss(0.0))
    assert torch.allclose(delta / delta.norm(), wanted @ K.T / (wanted @ K.T).norm())


def test_a_known_moment_changes_nothing(layer):
    W, keys = layer
    update = memit_update(W, keys, batch=10, ridge=2.0, seed=1)
    again = memit_update(W, keys, batch=10, ridge=2.0, seed=1, moment=second_moment(keys))
    assert torch.equal(update.dense(), again.dense())
    other = memit_update(W, keys, batch=10, ridge=2.0, seed=1, moment=torch.eye(D, dtype=torch.float64))
    assert not torch.allclose(update.dense(), other.dense())


def test_the_defect_is_0_for_an_invariant_space_and_1_for_one_that_is_turned_away():
    one = torch.eye(4, dtype=torch.float64)
    space = Subspace(one[:, :2])
    assert invariance_defect(space, torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0]).double())) == 0
    swap = one.roll(2, dims=1)  # maps the first two coordinates to the last two
    assert invariance_defect(space, swap) == pytest.approx(1)
