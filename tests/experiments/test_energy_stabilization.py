"""Copies of a layer get steps that do what they say: hold the energy, or leave it and move outputs as far."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from sphere_theory.energy import energy
from sphere_theory.experiments.energy_stabilization import (
    ARMS,
    CONTRASTS,
    EnergyStabilization,
    stabilizing_steps,
)
from sphere_theory.hosts.base import METRICS
from sphere_theory.hosts.synthetic import SyntheticLayer

SMALL = {"host": SyntheticLayer((16, 32)), "settings": ("ridge=10",), "edits": 40, "batch": 20}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return pd.DataFrame(EnergyStabilization(**SMALL | {"edits": 50}).rows(tmp_path_factory.mktemp("keys")))


def test_every_copy_has_a_row_a_batch(kept):
    assert kept["edits"].tolist() == [edits for edits in (20, 40, 50) for _ in ARMS]
    assert kept["arm"].tolist() == list(ARMS) * 3
    assert {arm for pair in CONTRASTS for arm in pair} <= set(ARMS)
    assert set(kept["planned"]) == {50}


def test_the_energy_is_held_and_mirrored(kept):
    by = kept.set_index(["arm", "edits"])["energy_change"]
    before = kept.set_index(["arm", "edits"])["energy_before_step"]
    assert (by["HE held"].abs() <= 2e-3 * before["HE held"].abs()).all()
    assert abs(by["mirror", 50]) > abs(before["none", 50])
    for arm in ("none", "norms held"):
        assert by[arm].to_numpy() == pytest.approx(before[arm].to_numpy(), abs=1e-9)


def test_steps_are_as_long_as_the_held_one(tmp_path):
    start = EnergyStabilization(**SMALL).start(tmp_path)
    edited = dict.fromkeys(ARMS, start.edit(start.memory))
    steps = stabilizing_steps(edited, start.energy, torch.Generator().manual_seed(0))
    held = steps["HE held"]
    keys = start.stream.preserved
    for arm in ("mirror", "signs"):
        torch.testing.assert_close((keys @ steps[arm].T).norm(dim=1), (keys @ held.T).norm(dim=1))
    torch.testing.assert_close(steps["mirror"], -held)
    for arm in ("pulled back", "peaks clipped"):
        assert float(steps[arm].norm()) == pytest.approx(float(held.norm()))
    singular = torch.linalg.svdvals(edited["none"].W + steps["peaks clipped"])
    assert float(singular[0]) < float(torch.linalg.svdvals(edited["none"].W)[0])
    norms = (edited["none"].W + steps["norms held"]).norm(dim=1)
    torch.testing.assert_close(norms, start.memory.W0.norm(dim=1))
    assert not steps["none"].any()
    moved = energy(edited["signs"].W + steps["signs"]) - energy(edited["signs"].W)
    assert abs(moved) < abs(energy(edited["none"].W) - start.energy)


def test_a_copy_without_steps_is_the_plain_stream(kept, tmp_path):
    start = EnergyStabilization(**SMALL | {"edits": 50}).start(tmp_path)
    edited = start.memory
    while edited.edits < 50:
        edited = start.edit(edited)
    last = kept[(kept["arm"] == "none") & (kept["edits"] == 50)].iloc[0]
    assert {name: last[name] for name in METRICS} == start.metrics(edited)
    assert last["undoing"] == 0
    assert last["edit_norm"] == pytest.approx(float((edited.W - edited.W0).norm() / edited.W0.norm()))


def test_rows_may_be_fewer(tmp_path, kept):
    rare = pd.DataFrame(EnergyStabilization(**SMALL | {"edits": 50}, every=2).rows(tmp_path))
    pd.testing.assert_frame_equal(rare, kept[kept["edits"] > 20].reset_index(drop=True))
