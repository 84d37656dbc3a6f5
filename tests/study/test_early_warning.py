"""Alarms: when they go off, and what their thresholds have seen."""

from __future__ import annotations

import numpy as np
import pytest
from run_factory import made_study

from sphere_theory.errors import InputError
from sphere_theory.streams.store import RunStore
from sphere_theory.study.collapses import approaches
from sphere_theory.study.early_warning import SIGNALS, alarms, verdicts
from sphere_theory.study.run_table import load_points


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("made")) as store:
        made_study(store)
        return approaches(load_points(store))


def test_the_threshold_is_a_quantile_of_other_runs_far_points(rows):
    found = alarms(rows, by="base", false_alarms=0.25)
    one = found[(found["signal"] == "edit_norm") & (found["base"] == "memit")].iloc[0]
    far = rows[(rows["base"] != "memit") & ~rows["near"]]
    assert one["threshold"] == pytest.approx(far["edit_norm"].quantile(0.75))
    run = rows[rows["run"] == one["run"]]
    passed = run[run["edit_norm"] > one["threshold"]]
    np.testing.assert_equal(one["alarm"], passed["edits"].min())
    np.testing.assert_equal(one["lead"], one["collapse"] - passed["edits"].min())


def test_a_signal_that_knows_the_way_left_is_the_best(rows):
    oracle = rows.assign(edit_norm=-(rows["collapse"] - rows["edits"]))
    found = alarms(oracle, by="seed", false_alarms=0.0)
    table = verdicts(oracle, found, samples=50).set_index("signal")
    assert list(table.index) == list(SIGNALS)
    best = table.loc["edit_norm"]
    assert (best["area"], best["warned"]) == (1.0, 1.0)
    assert 100 < best["lead"] <= 200
    assert best["beyond"] == pytest.approx(1 - table.loc["energy_level", "area"])
    assert best["beyond_low"] > 0
    # The energy of these runs is the edit count times a constant.
    assert table.loc["energy_level", "area"] == pytest.approx(table.loc["edits", "area"])


def test_one_editor_alone_cannot_be_left_out(rows):
    with pytest.raises(InputError, match="at least two values of base, got 1"):
        alarms(rows[rows["base"] == "memit"], by="base")
