"""Edits for probes: the size, the direction and the rank that they say."""

from __future__ import annotations

import pytest
import torch

from sphere_theory.bound import audit_bound
from sphere_theory.energy import energy_gradient
from sphere_theory.experiments.edits import INPUTS, KINDS, make_edit, make_inputs, memit_update, of_size


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
