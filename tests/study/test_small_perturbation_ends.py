"""Where small perturbations end: first failures by hand, runs that held, and the power of the step."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from sphere_theory.errors import InputError
from sphere_theory.study.small_perturbation_ends import (
    CRITERIA,
    ENDED,
    HELD,
    NEVER,
    ends_by_setting,
    ends_of_smallness,
    step_exponents,
)

COUNT = 10


def constructed(
    *,
    step: float = 0.1,
    seed: int = 0,
    ridge: float = 1.0,
    base: str = "memit",
    lost_at: float = math.nan,
    **fails: int,
) -> pd.DataFrame:
    """A run of 10 points 100 edits apart; each criterion fails from a point on, counted from 0."""
    place = np.arange(COUNT)
    at = dict.fromkeys(CRITERIA, COUNT) | fails
    bad = {name: place >= first for name, first in at.items()}
    return pd.DataFrame({
        "edits": 100 * (place + 1),
        "step_norm": step * np.where(place % 2, 1.1, 0.9),
        "total_sign": np.where(bad["sign"], 0, np.where(place % 2, 1, -1)),
        "total_smallest_gap": np.where(bad["apart"], -0.1, 0.1),
        "total_first_order_error": np.where(bad["taylor"], 0.11, 0.1),
        "efficacy": np.where(bad["efficacy"], 0.49, 0.5),
        "run": f"{base}-{step}-{seed}-{ridge}",
        "base": base,
        "operator": "",
        "editor": base,
        "settings": f'{{"ridge": {ridge}}}',
        "strength": ridge,
        "planned": 100 * COUNT,
        "seed": seed,
        "lost_at": lost_at,
    })


def ends(*runs: pd.DataFrame) -> pd.DataFrame:
    return ends_of_smallness(pd.concat(runs, ignore_index=True))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_first_count_at_which_it_does_not_hold(criterion: str) -> None:
    found = ends(constructed(**{criterion: 4})).set_index("criterion")
    assert found.loc[criterion, ["outcome", "edits", "after"]].tolist() == [ENDED, 500, 400]
    others = found.drop(criterion)
    assert (others["outcome"] == HELD).all()
    assert (others[["edits", "after"]] == 1000).all(axis=None)
    assert found["step"].tolist() == pytest.approx([0.1] * 4)
    assert found["strength"].tolist() == [1.0] * 4


@pytest.mark.parametrize("criterion", ["sign", "apart", "taylor"])
def test_what_never_held_ended_at_the_first_point(criterion: str) -> None:
    found = ends(constructed(**{criterion: 0})).set_index("criterion").loc[criterion]
    assert found[["outcome", "edits", "after"]].tolist() == [ENDED, 100, 0]


def test_a_criterion_that_comes_back_has_ended() -> None:
    run = constructed(taylor=3)
    run.loc[6:, "total_first_order_error"] = 0.0
    found = ends(run).set_index("criterion").loc["taylor"]
    assert found[["outcome", "edits", "after"]].tolist() == [ENDED, 400, 300]


def test_efficacy_has_to_be_there_before_it_is_lost() -> None:
    late = constructed()
    late["efficacy"] = [0.2, 0.4, 0.6, 0.7, 0.6, 0.4, 0.6, 0.6, 0.6, 0.6]
    never = constructed(efficacy=0, seed=1)
    found = ends(late, never)
    found = found[found["criterion"] == "efficacy"]
    assert found["outcome"].tolist() == [ENDED, NEVER]
    assert found["edits"].tolist()[0] == 600
    assert math.isnan(found["edits"].tolist()[1])


def test_weights_that_are_lost_end_everything() -> None:
    found = ends(constructed(apart=2, lost_at=1030.0))
    found = found.set_index("criterion")
    assert set(found["outcome"]) == {ENDED}
    assert found["edits"].to_dict() == {"sign": 1030, "apart": 300, "taylor": 1030, "efficacy": 1030}


def test_points_without_audits_are_refused() -> None:
    run = constructed()
    for change in (run.drop(columns="total_sign"), run.assign(total_sign=math.nan)):
        with pytest.raises(InputError, match="points with audits, got none with total_sign"):
            ends_of_smallness(change)


def test_over_seeds_a_run_that_held_makes_a_lower_bound() -> None:
    runs = [constructed(seed=seed, apart=4 + seed, taylor=(4, 9, COUNT)[seed]) for seed in range(3)]
    found = ends_by_setting(ends(*runs)).set_index("criterion")
    apart = found.loc["apart"]
    assert apart["edits"] == pytest.approx((500 * 600 * 700) ** (1 / 3))
    assert (apart["seeds"], apart["held"]) == (3, 0)
    assert apart["low"] < apart["edits"] < apart["high"]
    taylor = found.loc["taylor"]
    assert (taylor["held"], taylor["edits"]) == (1, pytest.approx((500 * 1000 * 1000) ** (1 / 3)))
    assert math.isnan(taylor["low"])
    assert not apart["at_once"]
    never = ends_by_setting(ends(constructed(efficacy=0)))
    assert "efficacy" not in set(never["criterion"])


@pytest.mark.parametrize(("first", "at_once"), [((0, 0, 0), True), ((0, 0, 1), False)])
def test_what_held_at_no_point_is_an_upper_bound(first: tuple[int, ...], at_once: bool) -> None:
    found = ends_by_setting(ends(*(constructed(seed=seed, apart=at) for seed, at in enumerate(first))))
    assert found.set_index("criterion").loc["apart", "at_once"] == at_once


def _simulated(last: float, first: float = 10.0) -> pd.DataFrame:
    """edits = 1000/step², seen every 10 edits from `first` to `last`."""
    rng = np.random.default_rng(0)
    steps = np.exp(rng.uniform(np.log(0.3), np.log(6), size=100))
    times = 1000 / steps**2 * np.exp(0.2 * rng.normal(size=100))
    after = np.floor(times / 10) * 10
    held = times >= last
    return pd.DataFrame({
        "run": np.arange(100),
        "criterion": "apart",
        "step": steps,
        "edits": np.where(held, last, np.maximum(after + 10, first)),
        "after": np.where(held, last, np.where(times < first, 0, after)),
        "outcome": np.where(held, HELD, ENDED),
    })


@pytest.mark.parametrize(("last", "first"), [(1000.0, 10.0), (1000.0, 200.0), (1e6, 10.0)])
def test_the_power_of_the_step_is_found_whatever_is_cut_off(last: float, first: float) -> None:
    table = _simulated(last, first)
    found = step_exponents(table, samples=20).set_index("criterion")
    apart = found.loc["apart"]
    assert apart["held"] == (table["outcome"] == HELD).sum()
    assert apart["exponent"] == pytest.approx(-2, abs=0.15)
    assert apart["low"] <= apart["exponent"] <= apart["high"]
    assert np.exp(apart["level"]) == pytest.approx(1000, rel=0.2)
    assert found.drop("apart")["exponent"].isna().all()


def test_what_held_taken_for_an_end_would_flatten_it() -> None:
    """The test above has power."""
    table = _simulated(1000.0)
    assert (table["outcome"] == HELD).sum() > 20
    flat = step_exponents(table.assign(outcome=ENDED, after=table["edits"] - 10), samples=3)
    assert flat.set_index("criterion").loc["apart", "exponent"] > -1.75


def test_too_little_to_say_anything_of_a_power() -> None:
    alike = pd.DataFrame({"run": range(9), "criterion": "apart", "step": np.linspace(1, 1.9, 9)})
    alike = alike.assign(edits=100.0, after=90.0, outcome=ENDED)
    wide = alike.assign(step=np.linspace(1, 9, 9))
    held = wide.assign(outcome=[ENDED] * 2 + [HELD] * 7)
    at_once = wide.assign(after=[0.0] * 7 + [90.0] * 2)
    two_sizes = wide.assign(step=[1.0, 1.02, 0.98, 1.01, 9.0, 9.1, 8.9, 9.2, 8.8])
    for table in (alike, wide.iloc[:5], held, at_once, two_sizes):
        assert step_exponents(table, samples=3)["exponent"].isna().all()
    found = step_exponents(wide, samples=3).set_index("criterion")
    assert found.loc["apart", "exponent"] == pytest.approx(0, abs=0.05)


def test_no_run_that_was_ever_there() -> None:
    never = ends(constructed(efficacy=0))
    assert not len(ends_by_setting(never[never["criterion"] == "efficacy"]))
