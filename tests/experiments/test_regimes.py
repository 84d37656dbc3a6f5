"""The map of regimes: small streams are small perturbations, and a cell is of the cumulative edit."""

from __future__ import annotations

import pytest
import torch

from sphere_theory.energy import energy
from sphere_theory.experiments.regimes import REGIMES, regime_map


@pytest.fixture
def layer():
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(24, 140, generator=generator, dtype=torch.float64)
    keys = torch.randn(140, 600, generator=generator, dtype=torch.float64)
    return W, keys


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
