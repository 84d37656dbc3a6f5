"""Costs in figures: what is drawn is what the frames say, in words and in units."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sphere_theory.experiments.cost import BATCHWISE, DECOMPOSITIONS, STREAMED
from sphere_theory.study.cost_plots import draw_stream, in_units, named

CONDITIONS = pd.DataFrame({"threads": [4, 2], "processor": ["one", "one"]})


@pytest.mark.parametrize(
    ("value", "quantity", "words"),
    [
        (0.0, "seconds", "0.0 ms"),
        (9.99e-1, "seconds", "999 ms"),
        (1.0, "seconds", "1.0 s"),
        (59.9, "seconds", "60 s"),
        (60.0, "seconds", "1.0 min"),
        (864_000.0, "seconds", "10 days"),
        (2.0**10, "peak_bytes", "1.0 KiB"),
        (2.0**50, "peak_bytes", "1024 TiB"),
    ],
)
def test_units_change_where_one_of_them_is_full(value, quantity, words):
    assert in_units(value, quantity) == words


def test_operations_are_named_in_one_order_with_their_decay():
    operations = [*DECOMPOSITIONS, *BATCHWISE]
    rows = pd.DataFrame([
        *({"operation": name, "decay": 0.0, "x": k} for k, name in enumerate(operations)),
        {"operation": "randomized", "decay": 1.0, "x": -1},
        {"operation": "energy", "decay": 0.0, "x": -2},
    ])
    found = list(named(rows))
    names = [name for name, _ in found]
    assert names[:3] == ["energy, afresh", "energy, afresh", "energy, kept current"]
    assert names[-2:] == ["randomised", "randomised, decay 1"]
    assert len(found) == len(rows)
    assert found[-1][1] == {"operation": "randomized", "decay": 1.0, "x": -1}
    shuffled = [name for name, _ in named(rows.sample(frac=1, random_state=0))]
    assert shuffled == names


def test_a_stream_is_drawn_from_its_frames_alone():
    """Numbers that belong to nothing that was measured: none of them is computed anew."""
    operation = next(iter(STREAMED))
    same = {"operation": operation, "decay": 0.0}
    frames = {
        "steps": pd.DataFrame([same | {"edits": k, "seconds": 0.001 * k} for k in (1, 2, 4)]),
        "tenths": pd.DataFrame([same | {"edits": k, "seconds": 0.5} for k in (1, 4)]),
        "ratios": pd.DataFrame([
            same
            | {"ratio": 1.25, "low": 1.0, "high": 1.5, "n": 8, "d": 16, "steps": 30, "batch": 2, "seeds": 3}
        ]),
        "carried": pd.DataFrame([same | {"edits": k, "state_bytes": k * 2**20} for k in (1, 2, 4)]),
        "conditions": CONDITIONS,
    }
    figure = draw_stream(frames, "nothing")
    steps, memory = figure.axes
    (dots,) = [line for line in steps.lines if line.get_gid() == "steps"]
    (mean,) = [line for line in steps.lines if line.get_gid() == "mean"]
    np.testing.assert_allclose(dots.get_xydata(), [(1, 1), (2, 2), (4, 4)])
    np.testing.assert_allclose(mean.get_ydata(), [500.0, 500.0])
    assert "1.250 [1.000, 1.500]" in steps.texts[0].get_text()
    np.testing.assert_allclose(memory.lines[0].get_xydata(), [(1, 1), (2, 2), (4, 4)])
    about = figure.get_supxlabel().replace("\n", " ")
    assert "W of 8×16" in about
    assert "2, 4 thread(s) of one" in about
    assert "nothing" not in about
