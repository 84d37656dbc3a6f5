"""How cost grows: fits find the exponents and prices that made the times, and what slows down is told."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from sphere_theory.errors import InputError
from sphere_theory.experiments.cost import BATCHWISE, STREAMED, Cost, StreamCost
from sphere_theory.experiments.cost_counts import COUNTS, Size
from sphere_theory.study.cost_growth import (
    RESOLUTION,
    SHAPES,
    constancy,
    cost_points,
    exponents,
    predictions,
    series,
    tenths,
)
from sphere_theory.study.questions.cost import QUESTION

FLOP_PRICE, OTHER_PRICE, BYTE_PRICE = 3e-11, 2e-10, 1.5


def _sized(task: Cost) -> Size:
    rank = 0 if task.operation in BATCHWISE and task.operation != "projection" else max(1, task.n // 4)
    return Size(task.n, task.d, task.batch, rank)


def _operations(task: Cost) -> float:
    return COUNTS[task.operation].terms(_sized(task)).operations


def _made(task: Cost, repeat: int = 0, factor: float = 1.0) -> dict:
    """A row whose time and memory are exactly those of a model."""
    size = _sized(task)
    terms = COUNTS[task.operation].terms(size)
    return {
        "repeat": repeat,
        "seconds": factor * (FLOP_PRICE * terms.flops + OTHER_PRICE * terms.other),
        "peak_bytes": 4 * RESOLUTION + BYTE_PRICE * COUNTS[task.operation].held_bytes(size),
        "rank": size.rank,
        "threads": 1,
        "processor": "made",
    }


def made_rows(spread: float = 0.0) -> pd.DataFrame:
    chosen = [task for task in QUESTION.experiments(False) if isinstance(task, Cost)]
    return pd.DataFrame([
        asdict(task) | _made(task, repeat, 1 + spread * (repeat - 1))
        for task in chosen
        for repeat in range(3)
    ])


def test_points_are_medians_with_the_extremes():
    points = cost_points(made_rows(spread=0.1))
    assert (points["repeats"] == 3).all()
    np.testing.assert_allclose(points["seconds_low"] / points["seconds"], 0.9)
    np.testing.assert_allclose(points["seconds_high"] / points["seconds"], 1.1)


def test_a_power_has_its_exponent():
    rows = made_rows()
    noise = np.array([0.9, 1.0, 1.1])[rows["repeat"]]
    rows["seconds"] = rows["n"] ** 2.0 * rows["d"] ** 0.5 * noise
    found = exponents(rows, samples=60).set_index(["axis", "operation", "decay"])
    dual = found.xs(("dual", 0.0), level=("operation", "decay"))
    for axis, exponent in {"n": 2.0, "d": 0.5, "shape": 2.5}.items():
        assert dual.loc[axis, "exponent"] == pytest.approx(exponent)
        assert dual.loc[axis, "low"] < exponent < dual.loc[axis, "high"]
    assert dual.loc["shape", "counted"] == pytest.approx(3.0, abs=1e-6)
    assert dual.loc["n", "fixed"] == "d = 1024"
    assert tuple(dual.loc["n", ["start", "stop"]]) == (256, 1024)
    assert found.loc[("n", "covariance", 0.0), "counted"] < 0.1


def test_models_find_the_prices_that_made_the_times():
    found = predictions(made_rows(), samples=20)
    most: dict[tuple[str, float], float] = {}
    for task in QUESTION.experiments(False):
        if isinstance(task, Cost):
            kind = task.operation, task.decay
            most[kind] = max(most.get(kind, 0.0), _operations(task))
    assert set(found["shape"]) == set(SHAPES)
    for row in found.to_dict("records"):
        task = Cost(row["operation"], *SHAPES[row["shape"]], decay=row["decay"])
        made = _made(task)
        assert row["rank"] == made["rank"]
        assert row["seconds"] == pytest.approx(made["seconds"], rel=1e-4)
        assert row["peak_bytes"] == pytest.approx(made["peak_bytes"], rel=1e-4)
        assert row["held_out"] == pytest.approx(1, rel=1e-4)
        assert row["held_out_peak"] == pytest.approx(1, rel=1e-4)
        assert row["times_larger"] == pytest.approx(_operations(task) / most[row["operation"], row["decay"]])
        assert row["times_larger"] > 1


def test_a_model_that_does_not_fit_says_so():
    rows = made_rows()
    top = (rows["operation"] == "dual") & (rows["n"] == 1024) & (rows["d"] == 3584)
    rows.loc[top, "seconds"] *= 3
    found = predictions(rows, samples=200).set_index("operation")
    assert (found.loc["dual", "held_out"] < 0.5).all()
    assert (found.loc["dual", "seconds_low"] < 0.9 * found.loc["dual", "seconds_high"]).all()
    assert (found.loc["energy", "held_out"] > 0.99).all()


def test_memory_that_is_not_known_stays_unknown():
    rows = made_rows().assign(peak_bytes=np.nan)
    found = predictions(rows, samples=5)
    assert found[["peak_bytes", "peak_low", "peak_high", "held_out_peak"]].isna().all(axis=None)
    assert found["seconds"].gt(0).all()


def made_stream(growth: float = 1.0) -> pd.DataFrame:
    return pd.DataFrame([
        asdict(StreamCost(operation, 8, 16, batch=2, batches=30, seed=seed))
        | {
            "step": step,
            "edits": 2 * step,
            "seconds": (growth if step > 20 else 1.0) * (1 + 0.01 * seed * (step > 20)),
            "state_bytes": 2**20,
            "threads": 1,
            "processor": "made",
        }
        for operation in STREAMED
        for seed in range(3)
        for step in range(1, 31)
    ])


@pytest.mark.parametrize("growth", [1.0, 1.5])
def test_a_stream_that_slows_down_is_told(growth):
    found = constancy(made_stream(growth))
    assert list(found["operation"]) == list(STREAMED)
    assert found["ratio"].to_numpy() == pytest.approx(growth * 1.01)
    assert (found["low"] < found["ratio"]).all()
    assert (found["state_ratio"] == 1).all()
    assert set(found["seeds"]) == {3}


def test_tenths_are_means_over_steps_and_seeds():
    rows = made_stream(1.5)
    found = tenths(rows)
    for operation in STREAMED:
        own = found[found["operation"] == operation]
        np.testing.assert_allclose(own["edits"], 6 * np.arange(10) + 4)
        slow = 1.5 * 1.01
        # The seventh tenth has the first of the slow steps beside two quick ones.
        np.testing.assert_allclose(own["seconds"], [1, 1, 1, 1, 1, 1, (2 + slow) / 3, slow, slow, slow])


BAD = {
    "axis": (lambda: series(cost_points(made_rows()), "depth"), "axis: expected"),
    "rows": (lambda: cost_points(pd.DataFrame()), "rows: expected rows of Cost tasks, got none"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message):
        call()
