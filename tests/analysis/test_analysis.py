"""Layers, edits and regimes are what they say they are."""

from __future__ import annotations

import pytest
import torch

from sphere_theory.analysis.edits import INPUTS, KINDS, make_edit, make_inputs, memit_update, of_size
from sphere_theory.analysis.layers import describe_layer, describe_layers
from sphere_theory.analysis.regimes import REGIMES, regime_map
from sphere_theory.bound import audit_bound
from sphere_theory.energy import energy, energy_gradient
from sphere_theory.models.weights import open_checkpoint


@pytest.fixture
def layer():
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(24, 140, generator=generator, dtype=torch.float64)
    keys = torch.randn(140, 600, generator=generator, dtype=torch.float64)
    return W, keys


def _relative(delta, W):
    return float(delta.norm() / W.norm())


def test_memit_gives_the_keys_their_new_values_as_the_ridge_vanishes(layer):
    W, keys = layer
    update = memit_update(W, keys, batch=10, ridge=1e-9, seed=3)
    chosen = torch.randperm(600, generator=torch.Generator().manual_seed(3))[:10]
    K = keys[:, chosen]
    assert torch.allclose((W + update.dense()) @ K, (W @ K).roll(1, dims=1), atol=1e-6)
    assert update.rank == 10


@pytest.mark.parametrize(
    ("kind", "size"), [("small", 1e-3), ("large", 1.0), ("ascent", 1e-4), ("hidden", 1e-3)]
)
def test_edits_have_their_stated_size(layer, kind, size):
    W, keys = layer
    assert _relative(make_edit(kind, W, keys, seed=0), W) == pytest.approx(size)


def test_edits_have_their_stated_direction(layer):
    W, keys = layer
    assert torch.allclose(make_edit("radial", W, keys, seed=0), 0.1 * W)
    ascent, slope = make_edit("ascent", W, keys, seed=0), energy_gradient(W)
    assert torch.allclose(ascent / ascent.norm(), slope / slope.norm())
    hidden, partial = make_edit("hidden", W, keys, seed=0), make_inputs("partial", keys, seed=0)
    assert float((hidden @ partial).norm()) < 1e-12
    assert torch.allclose(partial.T @ partial, torch.eye(64, dtype=torch.float64))


def test_every_edit_on_every_kind_of_input_can_be_audited(layer):
    W, keys = layer
    for kind in KINDS:
        for which in INPUTS:
            audit = audit_bound(W, make_edit(kind, W, keys, seed=0), make_inputs(which, keys, seed=0))
            assert audit.check("unconditional").verdict == "holds"
            assert audit.check("certified").verdict != "violated"


def test_of_size_is_relative_to_the_weights(layer):
    W, _ = layer
    assert _relative(of_size(torch.ones_like(W), W, 0.25), W) == pytest.approx(0.25)


def test_a_matrix_without_a_number_gets_a_note():
    row = describe_layer("dead", torch.zeros(3, 4))
    assert "no zero row" in row.note
    assert row.uniformity is None


def test_layers_are_read_in_order_and_progress_reaches_the_end():
    torch.manual_seed(0)
    state = {"a": torch.randn(700, 5), "b": torch.randn(4, 5).int(), "c": torch.randn(6, 5)}
    seen: list[float] = []
    rows = list(describe_layers(open_checkpoint(state), ["a", "b", "c"], progress=seen.append))
    assert [row.tensor for row in rows] == ["a", "b", "c"]
    assert "int32" in rows[1].note
    assert seen == sorted(seen)
    assert seen[-1] == 3


def test_small_streams_are_small_perturbations_and_large_ones_are_not(layer):
    W, _ = layer
    cells = list(regime_map(W, steps=[1e-6, 1.0], counts=[1, 100], seed=1))
    assert [(cell.step, cell.edits) for cell in cells] == [(1e-6, 1), (1e-6, 100), (1.0, 1), (1.0, 100)]
    assert cells[0].regime == "small perturbation"
    assert cells[-1].regime == REGIMES[-1]
    assert cells[0].energy_change != 0


def test_a_cell_measures_the_cumulative_edit(layer):
    W, _ = layer
    (cell,) = regime_map(W, steps=[1e-3], counts=[400], seed=5)
    noise = torch.randn(tuple(W.shape), generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    moved = W + noise * (1e-3 * 20 * float(W.norm()) / W.numel() ** 0.5)
    assert cell.energy_change == pytest.approx(energy(moved) - energy(W), rel=1e-6)
    assert cell.low <= cell.energy_change <= cell.high
    assert abs(cell.energy_change) <= cell.bound
