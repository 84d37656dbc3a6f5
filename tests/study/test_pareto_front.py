"""Settings against the curve of the base editor's own λ: geometry, verdicts, and shares over seeds."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sphere_theory.errors import InputError
from sphere_theory.study.pareto_front import (
    BEYOND,
    DOMINATED,
    OFF,
    UNDECIDED,
    corner_gap,
    front_gap,
    front_gaps,
    front_shares,
    front_verdicts,
)

# A trade-off, and a first λ that is worse in both than the second.
LINE = ((1.0, 0.3, 0.85), (10.0, 0.4, 0.9), (100.0, 0.6, 0.7), (1000.0, 0.8, 0.3))


def _run(seed: int, specificity: float, efficacy: float, **facts: object) -> dict[str, object]:
    known = {"base": "memit", "operator": "", "variant": "", "eta": math.nan, "alpha": math.nan}
    known |= {"damping": 0.0, "strength": 10.0, "ended": True, "lost_at": math.nan, **facts}
    settings = json.dumps({"damping": known.pop("damping"), "ridge": known["strength"]})
    name = "-".join(map(str, (seed, settings, *known.values())))
    return known | {
        "settings": settings,
        "run": name,
        "seed": seed,
        "edits": 1000,
        "specificity": specificity,
        "efficacy": efficacy,
    }


def made(
    settings: dict[float, list[tuple[float, float]]], operator: str = "SPHERE", **facts: object
) -> list[dict[str, object]]:
    """A setting for each η: specificity and efficacy of each seed."""
    return [
        _run(seed, *value, operator=operator, eta=eta, alpha=0.8, **facts)
        for eta, values in settings.items()
        for seed, value in enumerate(values)
    ]


def curve(seeds: int = 3, shift: float = 0.01, **facts: object) -> list[dict[str, object]]:
    return [
        _run(seed, x + shift * seed, y + shift * seed, strength=ridge, **facts)
        for seed in range(seeds)
        for ridge, x, y in LINE
    ]


def around(x: float, y: float, shift: float = 0.01, spread: float = 0.0) -> list[tuple[float, float]]:
    """Three seeds that move with the curve, but for a spread of their own."""
    return [
        (x + shift * seed + spread * (seed - 1), y + shift * seed + spread * (seed - 1)) for seed in range(3)
    ]


points = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(point=points, curve=st.lists(points, min_size=2, max_size=5))
def test_the_gap_is_the_least_lead_over_any_point_of_the_line(point, curve) -> None:
    point, curve = np.array(point), np.array(curve)
    t = np.linspace(0, 1, 401)[:, None]
    dense = np.concatenate([(1 - t) * a + t * b for a, b in pairwise(curve)])
    literal = (point - dense).max(axis=1).min()
    longest = np.abs(np.diff(curve, axis=0)).max()
    assert literal - longest / 400 - 1e-12 <= front_gap(point, curve) <= literal + 1e-12
    assert corner_gap(point, curve) <= front_gap(point, curve) + 1e-12


@pytest.mark.parametrize(
    ("point", "gap", "corner"),
    [
        ((0.5, 0.8), 0.0, -0.1),  # on the line; a curve that bulges could be as good
        ((0.55, 0.85), 0.05, -0.05),
        ((0.7, 1.0), 0.2, 0.1),
        ((0.3, 0.6), -0.1 - 0.1, -0.3),
        ((0.9, 0.1), 0.1, 0.1),  # more specific than any
    ],
)
def test_gaps_by_hand(point, gap: float, corner: float) -> None:
    line = np.array([[0.4, 0.9], [0.6, 0.7], [0.8, 0.3]])
    assert front_gap(np.array(point), line) == pytest.approx(gap)
    assert corner_gap(np.array(point), line) == pytest.approx(corner)


def test_verdicts_are_beyond_the_interval_over_seeds() -> None:
    settings = {
        0.1: around(0.55, 0.85),
        0.2: around(0.55, 0.85, spread=0.05),  # as far on average, but not on every seed
        0.3: around(0.3, 0.5),
        0.5: around(0.9, 0.1),
        0.7: around(0.7, 1.0),
    }
    table = front_verdicts(front_gaps(pd.DataFrame(curve() + made(settings)))).set_index("eta")
    assert table["verdict"].tolist() == [BEYOND, UNDECIDED, DOMINATED, OFF, BEYOND]
    assert table["sure"].tolist() == [False, False, False, False, True]
    assert table["gap"][[0.1, 0.2]].tolist() == pytest.approx([0.05, 0.05])
    assert table["low"][0.1] == pytest.approx(0.05)  # seeds move with their curve: pairing takes that out
    assert table["low"][0.2] < 0 < table["high"][0.2]


def test_shares_by_kind_with_seeds_resampled() -> None:
    settings = {0.1: around(0.55, 0.85), 0.2: around(0.5, 0.75), 0.3: around(0.9, 0.1)}
    runs = curve() + made(settings) + made({0.1: around(0.3, 0.5)}, "random subspace")
    runs += made({0.1: around(0.55, 0.85)}, variant="compensate=True")
    table = front_shares(front_gaps(pd.DataFrame(runs)), samples=50)
    kinds = [("SPHERE", ""), ("random subspace", ""), ("SPHERE", "compensate=True")]
    assert list(zip(table["operator"], table["variant"], strict=True)) == kinds
    counts = table[[BEYOND, UNDECIDED, DOMINATED, OFF, "sure"]].to_numpy().tolist()
    assert counts == [[1, 0, 1, 1, 0], [0, 0, 1, 0, 0], [1, 0, 0, 0, 0]]
    assert table["share"].tolist() == [0.5, 0.0, 1.0]
    assert table[["low", "high"]].to_numpy().tolist() == [[0.5, 0.5], [0.0, 0.0], [1.0, 1.0]]
    assert table["furthest"].tolist() == pytest.approx([0.05, math.nan, 0.05], nan_ok=True)


def test_seeds_that_disagree_widen_the_interval_of_the_share() -> None:
    """Just beyond: a resample with the worse seeds is not."""
    near = {eta: around(0.55, 0.85, spread=0.019) for eta in (0.1, 0.2)}
    row = front_shares(front_gaps(pd.DataFrame(curve() + made(near))), samples=200).iloc[0]
    assert (row["share"], row["low"], row["high"]) == (1.0, 0.0, 1.0)


def test_all_off_the_curve_is_no_share() -> None:
    row = front_shares(front_gaps(pd.DataFrame(curve() + made({0.1: around(0.95, 0.1)}))), samples=9).iloc[0]
    assert (row["settings"], row[OFF]) == (1, 1)
    assert math.isnan(row["share"])
    assert math.isnan(row["low"])


def test_a_setting_is_not_judged_by_the_seeds_that_it_survived() -> None:
    runs = pd.DataFrame(curve() + made({0.5: [(0.7, 0.9), (0.71, 0.91), (0.72, 0.92)]}))
    lost = (runs["operator"] == "SPHERE") & (runs["seed"] == 2)
    runs.loc[lost, "lost_at"] = 400.0
    found = front_gaps(runs)
    (row,) = found[found["seed"] == 2].to_dict("records")
    assert (row["specificity"], row["efficacy"]) == (0, 0)
    assert row["gap"] < 0
    assert front_verdicts(found)["verdict"].item() == UNDECIDED
    unfinished = front_gaps(runs.assign(ended=~lost))
    assert set(unfinished["seed"]) == {0, 1}


def test_a_curve_is_of_one_editor_family_and_seed() -> None:
    other = [{**run, "efficacy": 0.0} for run in curve(damping=5.0)]
    stopped = [{**run, "efficacy": 1.0} for run in curve(lost_at=7.0)]
    settings = made({0.1: around(0.55, 0.85)})
    alone = front_gaps(pd.DataFrame(curve() + settings))
    beside = front_gaps(pd.DataFrame(other + curve() + settings + stopped))
    assert beside["gap"].tolist() == alone["gap"].tolist()
    assert set(alone["operator"]) == {"SPHERE"}
    assert "" not in set(beside["operator"])


def test_without_two_strengths_there_is_no_curve() -> None:
    lone = [run for run in curve() if run["strength"] == 10.0]
    with pytest.raises(
        InputError, match="points: expected SPHERE or a control, and its base editor with two"
    ):
        front_gaps(pd.DataFrame(lone + made({0.1: around(0.5, 0.8)})))
