"""The adversary of the probe: no other direction moves the energy more, and it breaks what can be broken."""

from __future__ import annotations

from typing import Any

import naive
import numpy as np
import pandas as pd
import pytest
import torch

from sphere_theory.energy import energy_gradient
from sphere_theory.experiments.adversary import adversary
from sphere_theory.experiments.probe import probe_bound
from sphere_theory.experiments.trials import DIRECTIONS, Cell, draw
from sphere_theory.motion import energy_change

SHAPES = ((2, 2), (4, 3), (6, 5))

# Energy concave along its own gradient: `python -m sphere_theory.proofs B3`.
NEAR_SQUARE = np.array([[24.0, 0, 7], [-24, 0, 7], [0, 24, -7], [0, -24, -7]])


def rows(table: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    for name, value in wanted.items():
        table = table[table[name] == value]
    assert len(table)
    return table


@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("size", [1e-8, 1e-4, 1e-2, 1e-1])
def test_no_other_direction_beats_the_adversary(n: int, d: int, size: float) -> None:
    for trial in range(2):
        moved = {}
        for direction in DIRECTIONS:
            case = draw(Cell(n, d, size, "orthonormal", 1.0, direction), trial)
            moved[direction] = abs(energy_change(case.W, case.delta).change)
        best = max(moved.values())
        naive.check_close(moved["adversarial"], best, 1e-10)


def test_the_adversary_breaks_the_first_order_bound_in_every_orthonormal_cell() -> None:
    """B3: the energy of ordinary weights is convex along its gradient."""
    sizes = [10.0**k for k in range(-8, 0)]
    found = probe_bound(
        shapes=SHAPES, sizes=sizes, inputs=["orthonormal"], directions=["adversarial"], trials=3
    )
    assert (rows(found, constant="gradient")["violation_rate"] == 1).all()
    assert rows(found, constant="certified")["violations"].sum() == 0


def test_the_adversary_finds_the_side_that_breaks() -> None:
    """Where the energy is concave along its gradient, −∇HE is the violating side, and +∇HE is not."""
    found = probe_bound(shapes=[], sizes=[1e-6, 1e-4], W=NEAR_SQUARE, keys=np.eye(3), trials=1)
    violated = rows(found, constant="gradient").groupby("direction")["violations"].sum()
    assert (violated[["ascent", "descent", "adversarial"]] == [0, 2, 2]).all()
    assert set(found["condition"]) == {1.0}


def test_it_stays_in_the_weak_directions_and_has_its_size() -> None:
    rng = np.random.default_rng(0)
    W = torch.from_numpy(rng.normal(size=(5, 6)))
    weak = torch.linalg.qr(torch.from_numpy(rng.normal(size=(6, 2)))).Q
    edit = adversary(W, weak, 1e-2, 1.0, np.random.default_rng(1))
    naive.check_close((edit @ weak @ weak.T).numpy(), edit.numpy(), 1e-14, 1.0)
    naive.check_close(float(edit.norm() / W.norm()), 1e-2, 1e-12)
    slope = energy_gradient(W) @ weak @ weak.T
    straight = slope * (1e-2 * W.norm() / slope.norm())
    climbed = [abs(energy_change(W, sign * straight).change) for sign in (1, -1)]
    assert abs(energy_change(W, edit).change) >= max(climbed) * (1 - 1e-12)
