"""What interventions did: means over seeds, differences within a seed, and what has no number."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from sphere_theory.errors import InputError
from sphere_theory.hosts.base import METRICS
from sphere_theory.study.effects import COVARIATES, associations, averages, differences
from sphere_theory.study.statistics import mean_interval

SEEDS = 4


@pytest.fixture
def frame() -> pd.DataFrame:
    """Seeds lie far apart, arms close together; the second host lacks the arm "b"."""
    rows = []
    for host, arms in (("first", "abc"), ("second", "ac")):
        for seed in range(SEEDS):
            for place, arm in enumerate(arms):
                row = {"host": host, "editor": "memit", "seed": seed, "arm": arm, "size": 0.1}
                row |= {
                    "energy_change": (-1) ** place * (place + 1.0),
                    "output_change": place,
                    "weight_change": place / 2,
                }
                row |= {f"{metric}_change": -float(place) for metric in METRICS}
                rows.append(row | dict.fromkeys(METRICS, 10.0 * seed + ord(arm)))
    return pd.DataFrame(rows)


def test_averages_have_a_row_an_arm_in_the_order_of_the_frame(frame):
    found = averages(frame, ["efficacy", "energy_change"], ["size"])
    assert list(found) == ["host", "editor", "size", "arm", "value", "mean", "low", "high", "seeds"]
    assert found["arm"].tolist() == [arm for arm in "abcac" for _ in range(2)]
    row = found[(found["arm"] == "b") & (found["value"] == "efficacy")].iloc[0]
    expected = mean_interval(10.0 * np.arange(SEEDS) + ord("b"))
    assert row[["mean", "low", "high"]].tolist() == pytest.approx(expected)


def test_draws_of_one_seed_count_for_one(frame):
    """A seed with a second draw has no more weight than the others."""
    extra = frame[frame["seed"] == 0].assign(efficacy=frame["efficacy"] + 2.0)
    found = averages(pd.concat([frame, extra]), ["efficacy"], ["size"])
    row = found[(found["host"] == "first") & (found["arm"] == "a")].iloc[0]
    assert row["mean"] == pytest.approx(10.0 * 1.5 + ord("a") + 1.0 / SEEDS)
    assert row["seeds"] == SEEDS


def test_one_seed_has_no_interval(frame):
    row = averages(frame[frame["seed"] == 1], ["efficacy"], ["size"]).iloc[0]
    assert row["mean"] == 10.0 + ord("a")
    assert math.isnan(row["low"])
    assert math.isnan(row["high"])


def test_differences_are_taken_within_a_seed(frame):
    """Seeds differ by 30, arms by 2: unpaired there would be no telling them apart."""
    found = differences(frame, [("c", "a")], ["size"])
    assert found["host"].unique().tolist() == ["first", "second"]
    assert found["mean"].tolist() == pytest.approx([2.0] * 2 * len(METRICS))
    assert (found["high"] - found["low"]).abs().max() < 1e-12


def test_a_seed_that_lacks_an_arm_is_left_out_and_a_case_without_it_has_no_row(frame):
    short = frame[(frame["arm"] != "b") | (frame["seed"] > 0)]
    found = differences(short, [("b", "a"), ("c", "a")], ["size"])
    first = found[found["first"] == "b"]
    assert first["host"].unique().tolist() == ["first"]
    assert first["seeds"].unique().tolist() == [SEEDS - 1]
    assert found[found["first"] == "c"]["seeds"].unique().tolist() == [SEEDS]


def test_associations_are_of_each_seed_and_leave_out_what_they_are_told_to(frame):
    found = associations(frame).set_index(["host", "value", "covariate"])
    assert set(found.index.get_level_values("covariate")) == set(COVARIATES)
    # ΔHE is 1, −2, 3 and its size 1, 2, 3, where each metric changes by 0, −1, −2.
    assert found.loc[("first", "efficacy", "energy_size"), "mean"] == pytest.approx(-1.0)
    assert found.loc[("first", "efficacy", "energy_change"), "mean"] == pytest.approx(-0.5)
    assert found.loc[("first", "efficacy", "energy_size"), "seeds"] == SEEDS
    without = associations(frame, leave=["b"]).set_index(["host", "value", "covariate"])
    assert without.loc[("first", "efficacy", "energy_change"), "mean"] == pytest.approx(-1.0)


def test_what_never_changed_goes_with_nothing(frame):
    found = associations(frame.assign(specificity_change=0.0)).set_index(["host", "value", "covariate"])
    row = found.loc["first", "specificity", "energy_size"]
    assert (math.isnan(row["mean"]), row["seeds"]) == (True, 0)


@pytest.mark.parametrize("missing", ["host", "seed", "arm", "efficacy_change"])
def test_a_missing_column_is_named(frame, missing):
    with pytest.raises(InputError, match=f"frame: expected columns {missing}, got"):
        associations(frame.drop(columns=missing))
