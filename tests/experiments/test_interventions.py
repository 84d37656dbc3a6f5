"""Interventions keep what they promise to keep, and change what they promise to change."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from sphere_theory.experiments.interventions import (
    ARMS,
    CHECK,
    CONTRASTS,
    DRAWS,
    KEEPS_ENERGY,
    MOVES_ENERGY,
    QUIET,
    UNDO,
    EditedLayer,
    Intervention,
)
from sphere_theory.hosts.base import METRICS
from sphere_theory.hosts.synthetic import SyntheticLayer

SMALL = {"host": SyntheticLayer((16, 32)), "settings": ("ridge=10",), "edits": 40, "batch": 20}
SIZES = (0.1, 0.3)
SAME = (*MOVES_ENERGY, "signs")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return pd.DataFrame(Intervention(**SMALL, sizes=SIZES).rows(tmp_path_factory.mktemp("keys")))


@pytest.fixture(scope="module")
def layer(tmp_path_factory):
    start = Intervention(**SMALL).start(tmp_path_factory.mktemp("keys"))
    return EditedLayer.of(start, start.edited())


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


def test_three_arms_move_every_single_output_alike(layer):
    made = {change.arm: change.D for change in layer.changes(0.2, torch.Generator().manual_seed(0))}
    keys = layer.start.stream.preserved
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


def test_half_way_back_is_where_it_says(layer):
    made = {change.arm: change for change in layer.changes(0.1, torch.Generator().manual_seed(0))}
    W, W0 = layer.edited.W, layer.edited.W0
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
