"""Changes of a layer do what they say to its energy and outputs, each against its literal definition."""

from __future__ import annotations

import math

import pytest
import torch

from sphere_theory.energy import energy, energy_gradient
from sphere_theory.errors import RangeError, ShapeError
from sphere_theory.experiments.perturbations import (
    amount_of,
    balanced_signs,
    clipped,
    descent,
    levelling,
    quiet_space,
    random_planes,
    stretched,
    turned,
)


def _gauss(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def W() -> torch.Tensor:
    return _gauss(12, 20)


@pytest.mark.parametrize("size", [0.01, 0.5, 3.0, 10.0])
def test_a_descent_has_its_size_and_lowers_as_much_as_one_step(W, size):
    D = descent(W, size)
    assert float(D.norm()) == pytest.approx(size)
    slope = energy_gradient(W)
    gain, straight = energy(W) - energy(W + D), energy(W) - energy(W - size * slope / slope.norm())
    assert gain > max(0, 0.999 * straight)
    # Where a straight step has left the valley, the descent has not.
    assert size < 1 or gain > 0 > straight or gain > 1.05 * straight


def test_one_step_of_descent_is_along_the_gradient(W):
    slope = energy_gradient(W)
    torch.testing.assert_close(descent(W, 0.1, steps=1), -0.1 * slope / slope.norm())


def test_a_descent_stays_within_its_directions(W):
    basis = torch.linalg.qr(_gauss(20, 5, seed=1)).Q
    D = descent(W, 0.5, within=basis)
    torch.testing.assert_close(D @ basis @ basis.T, D)
    assert float(D.norm()) == pytest.approx(0.5)
    assert energy(W + D) < energy(W)


@pytest.mark.parametrize("share", [0.99, 1.0, 1.05])
def test_levelling_reaches_its_level_from_either_side(W, share):
    level = share * energy(W)
    assert abs(energy(W + levelling(W, level)) - level) <= 1e-3 * abs(energy(W) - level)


def test_a_level_out_of_reach_is_approached_with_bounded_steps(W):
    D = levelling(W, 0.0)
    assert energy(W + D) < energy(W)
    assert float(D.norm()) <= 8 * 0.1 * float(W.norm()) + 1e-9


def test_signs_leave_next_to_nothing_of_the_sum():
    parts = _gauss(200).abs()
    signs = balanced_signs(parts, _draws())
    assert set(signs.tolist()) == {-1.0, 1.0}
    assert abs(float(signs @ parts)) <= float(parts.max())
    assert not torch.equal(signs, balanced_signs(parts, _draws(1)))
    assert torch.equal(signs, balanced_signs(parts, _draws(0)))


def test_signs_of_nothing_are_signs():
    assert set(balanced_signs(torch.zeros(4).double(), _draws()).tolist()) <= {-1.0, 1.0}


def test_the_quiet_half_is_what_keys_use_least():
    first, second = torch.diag(torch.tensor([4.0, 3, 2, 1, 0.5, 0.1])), torch.diag(torch.arange(6.0)) * 1e6
    # Shares: 4/10.6 + 0, 3/10.6 + 1/15, … : the scale of the second does not matter.
    shares = torch.diagonal(first) / 10.6 + torch.diagonal(second) / 15e6
    used = quiet_space([first.double(), second.double()]).abs().sum(dim=1)
    assert set(used.nonzero().flatten().tolist()) == set(shares.argsort()[:3].tolist())


@pytest.mark.parametrize("d", [2, 7, 8])
def test_planes_take_each_coordinate_once(d):
    planes = random_planes(d, _draws())
    assert planes.shape == (2, d // 2)
    assert len(set(planes.flatten().tolist())) == 2 * (d // 2)


@pytest.mark.parametrize("d", [7, 8])
def test_a_turn_is_a_rotation_that_the_energy_does_not_see(d):
    W, keys, planes = _gauss(5, d), _gauss(9, d, seed=1), random_planes(d, _draws())
    Q = turned(torch.eye(d, dtype=torch.float64), planes, 0.7)
    torch.testing.assert_close(Q @ Q.T, torch.eye(d, dtype=torch.float64))
    assert float(torch.linalg.det(Q)) == pytest.approx(1)
    torch.testing.assert_close(turned(W, planes, 0.7), W @ Q)
    assert energy(W @ Q) == pytest.approx(energy(W), rel=1e-12)
    # Keys turned alike: the outputs are those of before. Not turned: they are not.
    torch.testing.assert_close(turned(keys, planes, 0.7) @ (W @ Q).T, keys @ W.T)
    assert not torch.allclose(keys @ (W @ Q).T, keys @ W.T)


def test_a_turn_by_half_a_circle_twice_is_none():
    W, planes = _gauss(4, 6), random_planes(6, _draws())
    torch.testing.assert_close(turned(W, planes, math.pi), -W)


def test_stretching_multiplies_norms_and_leaves_the_energy(W):
    logs = _gauss(12, seed=3)
    image = stretched(W, logs, 0.5)
    torch.testing.assert_close(image.norm(dim=1) / W.norm(dim=1), (0.5 * logs).exp())
    assert energy(image) == pytest.approx(energy(W), rel=1e-12)


@pytest.mark.parametrize("shape", [(12, 20), (20, 12)])
def test_clipping_cuts_the_largest_singular_values_to_one_level(shape):
    W = _gauss(*shape)
    image = clipped(W, 1.5)
    assert float((image - W).norm()) == pytest.approx(1.5)
    before, after = torch.linalg.svdvals(W), torch.linalg.svdvals(image)
    torch.testing.assert_close(after, before.clamp_max(float(after[0])))
    assert after[0] < before[0]
    assert float(clipped(W, 1e6).norm()) == pytest.approx(0, abs=1e-4)


def test_the_amount_is_where_the_size_is_reached():
    assert amount_of(lambda amount: amount**2, 9.0) == pytest.approx(3)
    # The first of several: sin reaches ½ at π/6 and at 5π/6.
    assert amount_of(math.sin, 0.5, most=math.pi) == pytest.approx(math.pi / 6)


def test_wrong_use_is_refused(W, unchecked):
    with pytest.raises(RangeError, match="size: expected"):
        descent(W, 0.0)
    with pytest.raises(RangeError, match="steps: expected"):
        descent(W, 1.0, steps=0)
    with pytest.raises(RangeError, match="d: expected"):
        random_planes(1, _draws())
    with pytest.raises(ShapeError, match="logs: expected one for each of 12 rows, got 3"):
        stretched(W, torch.zeros(3).double(), 1.0)
    with pytest.raises(RangeError, match="wanted: expected a size up to 1"):
        amount_of(math.tanh, 2.0)
