"""Where runs collapse, and which of their points are near."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from run_factory import made_study

from sphere_theory.errors import InputError
from sphere_theory.streams.store import RunStore
from sphere_theory.study.collapses import collapses
from sphere_theory.study.run_table import load_points


@pytest.fixture
def store(tmp_path):
    with RunStore(tmp_path) as opened:
        yield opened


def _points(efficacy: list[float], specificity: list[float], lost_at: float = math.nan) -> pd.DataFrame:
    count = len(efficacy)
    facts = {"run": "a", "host": "h", "base": "b", "settings": "", "editor": "b", "seed": 0}
    facts |= {"batch_size": 10, "planned": 100, "conditions": "", "lost_at": lost_at}
    columns = {"edits": 10 * np.arange(1, count + 1), "efficacy": efficacy, "specificity": specificity}
    return pd.DataFrame(columns).assign(**facts)


@pytest.mark.parametrize(
    ("efficacy", "specificity", "lost_at", "collapse", "by"),
    [
        ([1, 0.75, 0.25], [1, 1, 1], math.nan, 25, "efficacy"),
        ([1, 0.75, 0.25], [1, 0.3, 0.2], math.nan, 10 + 10 * 0.5 / 0.7, "specificity"),
        ([1, 1, 1], [1, 1, 0.5], math.nan, math.inf, "held"),
        ([0.1, 0.2, 0.1], [1, 0.2, 0.1], math.nan, math.nan, "never learned"),
        ([0.2, 0.6, 0.4], [1, 1, 1], math.nan, 25, "efficacy"),  # it has to be there before it falls
        ([0.6, 0.2, 0.9], [1, 1, 1], math.nan, 10 + 10 * 0.1 / 0.4, "efficacy"),  # and may come back
        ([1, 1, 1], [0.3, 0.2, 0.1], math.nan, 10, "specificity"),
        ([1, 1, 1], [1, 1, 1], 30.0, 30, "weights"),
        ([1, 0, 0], [1, 1, 1], 30.0, 15, "efficacy"),
    ],
)
def test_a_collapse_is_the_first_fall_below_the_level(efficacy, specificity, lost_at, collapse, by):
    (row,) = collapses(_points(efficacy, specificity, lost_at)).to_dict("records")
    assert row["collapse"] == pytest.approx(collapse, nan_ok=True)
    assert (row["by"], row["last"]) == (by, 30)


def test_the_level_moves_the_collapse(store):
    made_study(store, seeds=1)
    points = load_points(store)
    early, late = (collapses(points, level=level)["collapse"] for level in (0.9, 0.5))
    assert (early < late).all()
    with pytest.raises(InputError, match="level"):
        collapses(points, level=0.0)
