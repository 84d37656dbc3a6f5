"""Interventions keep what they promise to keep, and change what they promise to change."""

from __future__ import annotations

from dataclasses import asdict, fields

import pandas as pd
import pytest
import torch

from sphere_theory.analysis.interventions import (
    ARMS,
    CHECK,
    CONTRASTS,
    DRAWS,
    KEEPS_ENERGY,
    MOVES_ENERGY,
    QUIET,
    UNDO,
    Case,
    Intervention,
    tasks,
)
from sphere_theory.analysis.runs import METRICS
from sphere_theory.analysis.upkeep import ARMS as UPKEEP_ARMS
from sphere_theory.analysis.upkeep import CONTRASTS as UPKEEP_CONTRASTS
from sphere_theory.analysis.upkeep import Upkeep, upkeep_steps
from sphere_theory.energy import energy

SMALL = {
    "model": "synthetic",
    "source": "gaussian",
    "shape": (16, 32),
    "settings": ("ridge=10",),
    "edits": 40,
    "batch": 20,
}
SIZES = (0.1, 0.3)
SAME = (*MOVES_ENERGY, "signs")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return pd.DataFrame(Intervention(**SMALL, sizes=SIZES).rows(tmp_path_factory.mktemp("keys")))


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    start = Intervention(**SMALL).start(tmp_path_factory.mktemp("keys"))
    return Case.of(start, start.edited())


def _at(found, size, *arms):
    return found[(found["size"] == size) & found["arm"].isin(arms)]


@pytest.mark.parametrize("size", SIZES)
def test_energy_moves_at_fixed_sizes_of_weights_and_outputs(found, size):
    same = _at(found, size, *SAME)
    assert len(same) == 2 + DRAWS
    for column in ("weight_change", "output_change", "edited_change"):
        assert same[column].max() == pytest.approx(same[column].min(), rel=1e-9)
    assert same["weight_change"].iloc[0] == pytest.approx(size)
    lowered, raised = (_at(found, size, arm)["energy_change"].item() for arm in MOVES_ENERGY)
    assert lowered < 0 < raised
    assert _at(found, size, "signs")["energy_change"].abs().max() < raised


def test_three_arms_move_every_single_output_alike(case):
    made = {change.arm: change.D for change in case.changes(0.2, torch.Generator().manual_seed(0))}
    keys = case.start.stream.preserved
    lengths = [(keys @ made[arm].T).norm(dim=1) for arm in SAME]
    for other in lengths[1:]:
        torch.testing.assert_close(other, lengths[0])
    assert not torch.allclose(keys @ made["signs"].T, keys @ made["HE raised"].T)


@pytest.mark.parametrize("size", SIZES)
def test_outputs_move_as_far_at_a_fixed_energy(found, size):
    fixed = _at(found, size, *(arm for arm in KEEPS_ENERGY if arm != "signs"), CHECK)
    assert fixed["energy_change"].abs().max() < 1e-12
    wanted = _at(found, size, "HE lowered")["output_change"].item()
    assert fixed["output_change"].to_numpy() == pytest.approx(wanted)
    assert _at(found, size, UNDO)["output_change"].to_numpy() == pytest.approx(wanted)


@pytest.mark.parametrize("size", SIZES)
def test_quiet_arms_are_as_long_and_change_outputs_less(found, size):
    quiet, loud = _at(found, size, *QUIET), _at(found, size, *MOVES_ENERGY)
    assert quiet["weight_change"].to_numpy() == pytest.approx(size)
    assert quiet["output_change"].max() < loud["output_change"].min()


def test_turning_the_keys_too_changes_nothing_and_turning_the_layer_alone_does(found):
    for metric in METRICS:
        assert (found.loc[found["arm"] == CHECK, f"{metric}_change"] == 0).all()
    turned = found[found["arm"] == "rotation"]
    assert turned["efficacy_change"].min() < 0


def test_half_way_back_is_where_it_says(case):
    made = {change.arm: change for change in case.changes(0.1, torch.Generator().manual_seed(0))}
    W, W0 = case.edited.W, case.edited.W0
    ratio = made[UNDO].D / (W0 - W)
    torch.testing.assert_close(ratio, ratio[0, 0].expand_as(ratio))
    before, after = W.norm(dim=1) / W0.norm(dim=1), (W + made["norms back"].D).norm(dim=1) / W0.norm(dim=1)
    assert bool((after.log() * before.log() >= 0).all())
    assert float(after.log().abs().sum()) < float(before.log().abs().sum())


def test_ways_back_end_at_the_layer_before_any_edit(tmp_path):
    arms = {row["arm"] for row in Intervention(**SMALL, sizes=(3.0,)).rows(tmp_path)}
    assert arms == set(ARMS) - {UNDO, "norms back", "rotation", CHECK}


def test_changes_are_those_against_the_layer_before(found):
    for metric in METRICS:
        gap = found[metric] - found[f"{metric}_before"]
        assert gap.to_numpy() == pytest.approx(found[f"{metric}_change"].to_numpy())
    assert set(found["arm"]) == set(ARMS)
    assert {arm for pair in CONTRASTS for arm in pair} <= set(ARMS)


def test_a_size_is_drawn_alike_whatever_the_others_are(found, tmp_path):
    alone = pd.DataFrame(Intervention(**SMALL, sizes=SIZES[1:]).rows(tmp_path))
    pd.testing.assert_frame_equal(alone, found[found["size"] == SIZES[1]].reset_index(drop=True))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return pd.DataFrame(Upkeep(**SMALL | {"edits": 50}).rows(tmp_path_factory.mktemp("keys")))


def test_every_copy_has_a_row_a_batch(kept):
    assert kept["edits"].tolist() == [edits for edits in (20, 40, 50) for _ in UPKEEP_ARMS]
    assert kept["arm"].tolist() == list(UPKEEP_ARMS) * 3
    assert {arm for pair in UPKEEP_CONTRASTS for arm in pair} <= set(UPKEEP_ARMS)
    assert set(kept["planned"]) == {50}


def test_the_energy_is_held_and_mirrored(kept):
    by = kept.set_index(["arm", "edits"])["energy_change"]
    before = kept.set_index(["arm", "edits"])["energy_before_step"]
    assert (by["HE held"].abs() <= 2e-3 * before["HE held"].abs()).all()
    assert abs(by["mirror", 50]) > abs(before["none", 50])
    for arm in ("none", "norms held"):
        assert by[arm].to_numpy() == pytest.approx(before[arm].to_numpy(), abs=1e-9)


def test_steps_are_as_long_as_the_held_one(tmp_path):
    start = Upkeep(**SMALL).start(tmp_path)
    edited = dict.fromkeys(UPKEEP_ARMS, start.edit(start.memory))
    steps = upkeep_steps(edited, start.gauge.energy, torch.Generator().manual_seed(0))
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
    assert abs(moved) < abs(energy(edited["none"].W) - start.gauge.energy)


def test_a_copy_without_steps_is_the_plain_stream(kept, tmp_path):
    start = Upkeep(**SMALL | {"edits": 50}).start(tmp_path)
    edited = start.memory
    while edited.edits < 50:
        edited = start.edit(edited)
    last = kept[(kept["arm"] == "none") & (kept["edits"] == 50)].iloc[0]
    assert {name: last[name] for name in METRICS} == start.metrics(edited)
    assert last["undoing"] == 0
    assert last["edit_norm"] == pytest.approx(float((edited.W - edited.W0).norm() / edited.W0.norm()))


def test_rows_may_be_fewer(tmp_path, kept):
    rare = pd.DataFrame(Upkeep(**SMALL | {"edits": 50}, every=2).rows(tmp_path))
    pd.testing.assert_frame_equal(rare, kept[kept["edits"] > 20].reset_index(drop=True))


def test_tasks_are_plain_and_have_three_seeds_at_least():
    for quick in (True, False):
        made = tasks(quick)
        assert len(set(made)) == len(made)
        for kind in (Intervention, Upkeep):
            own = [task for task in made if isinstance(task, kind)]
            cases = {(task.host, task.editor) for task in own}
            assert len(own) >= 3 * len(cases)
            assert {task.model for task in own} == {"minilm", "synthetic"}
        for task in made:
            for entry in fields(task):
                value = getattr(task, entry.name)
                plain = value if isinstance(value, tuple) else (value,)
                assert all(isinstance(item, str | int | float) for item in plain)
            assert type(task)(**asdict(task)) == task
    assert len(tasks(True)) < len(tasks(False))
