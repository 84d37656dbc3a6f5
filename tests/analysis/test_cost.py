"""Timed operations: what is counted is what torch runs, and fits find the prices that made the times."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sphere_theory.analysis import cost
from sphere_theory.analysis.cost import BATCHWISE, OPERATIONS, STREAMED, Cost, StreamCost, tasks
from sphere_theory.analysis.cost_counts import COUNTS, Size, cycle, widths
from sphere_theory.analysis.cost_growth import (
    AXES,
    RESOLUTION,
    SHAPES,
    constancy,
    cost_points,
    exponents,
    predictions,
    series,
)
from sphere_theory.errors import InputError

FLOP_PRICE, OTHER_PRICE, BYTE_PRICE = 3e-11, 2e-10, 1.5


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_task_has_a_row_for_each_repetition(operation, tmp_path):
    rows = Cost(operation, 12, 20, batch=3).rows(tmp_path)
    assert [row["repeat"] for row in rows] == [0, 1, 2]
    for row in rows:
        assert row["seconds"] > 0
        assert row["peak_bytes"] >= 0 or math.isnan(row["peak_bytes"])
        assert row["threads"] == torch.get_num_threads()
        assert bool(row["rank"]) == (operation not in BATCHWISE or operation == "projection")
        assert row["calls"] == 1


@pytest.mark.parametrize("operation", STREAMED)
def test_a_stream_has_a_row_for_each_step(operation, tmp_path):
    rows = StreamCost(operation, 8, 16, batch=2, batches=5).rows(tmp_path)
    assert [(row["step"], row["edits"]) for row in rows] == [(k, 2 * k) for k in range(1, 6)]
    assert all(row["seconds"] > 0 for row in rows)
    inverse = (12 if operation == "alphaedit" else 16) ** 2 * 8
    assert all(row["state_bytes"] > (8 * 8 if operation == "energy update" else 2 * inverse) for row in rows)


class Products(TorchDispatchMode):
    """Operations of matrix products, those that write in place included."""

    flops = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name()
        if name in ("aten::mm", "aten::addmm", "aten::addmm_", "aten::bmm"):
            left, right = args[-2:]
            self.flops += 2 * left.numel() * right.shape[-1]
        elif name in ("aten::mv", "aten::addmv"):
            self.flops += 2 * args[-2].numel()
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("operation", "size"),
    [
        ("energy", Size(4096, 256, 1)),
        ("energy update", Size(1024, 512, 40)),
        ("memit-seq", Size(64, 1024, 16)),
        ("alphaedit", Size(64, 1024, 16)),
        ("projection", Size(64, 256, 10)),
        ("covariance", Size(64, 1024, 1)),
        ("dual", Size(1024, 256, 1)),
        ("randomized", Size(300, 400, 1)),
    ],
)
def test_counted_products_are_those_that_torch_runs(operation, size):
    prepared = OPERATIONS[operation](Cost(operation, size.n, size.d, max(1, size.batch)))
    with Products() as counter:
        calls = [call() for call in prepared.steps()]
    expected = COUNTS[operation].terms(Size(size.n, size.d, size.batch, prepared.rank)).flops
    assert counter.flops / len(calls) == pytest.approx(expected, rel=0.25)


def test_a_repetition_of_an_editor_is_a_cycle_of_its_inverse():
    prepared = OPERATIONS["memit-seq"](Cost("memit-seq", 8, 64, batch=2))
    steps = [call() for call in prepared.steps()]
    assert len(steps) == cycle(64, 2) == 4
    # Thin factors gather, and the last step multiplies them out.
    assert ["inverse_recent" in step.state for step in steps] == [True, True, True, False]


def test_editors_are_timed_on_solves_that_factorise_nothing():
    for editor in ("memit-seq", "alphaedit"):
        for call in OPERATIONS[editor](Cost(editor, 8, 64, batch=2)).steps():
            assert int(call().state["factorisations"]) == 0


def test_the_meter_sees_what_is_allocated():
    peak = cost._peak_meter()
    held = torch.ones(4 * RESOLUTION, dtype=torch.float64)
    grown = peak()
    if math.isnan(grown):
        pytest.skip("needs /proc/self/clear_refs and glibc")
    assert held.numel() * 8 <= grown + RESOLUTION < held.numel() * 8 + 8 * RESOLUTION


def test_the_energy_holds_no_copy_of_the_weights():
    n, d = 2048, 7168
    grown = [row["peak_bytes"] for row in Cost("energy", n, d).rows(Path())]
    if math.isnan(grown[0]):
        pytest.skip("needs /proc/self/clear_refs and glibc")
    assert min(grown) < 4 * n * d


def test_widths_double_until_they_hold_the_rank():
    assert widths(Size(1000, 2000, 1, 40)) == [64]
    assert widths(Size(1000, 2000, 1, 49)) == [64, 128]
    assert widths(Size(150, 2000, 1, 150)) == [64, 128, 150]


@pytest.mark.parametrize("quick", [True, False])
def test_tasks_are_plain_and_run_alone(quick):
    found = tasks(quick)
    assert len(set(found)) == len(found)
    assert {task.name for task in found} == {"cost", "cost-stream"}
    assert all(task.alone for task in found)
    for task in found:
        assert all(isinstance(getattr(task, field.name), (str, int, float)) for field in fields(task))
    table = pd.DataFrame([asdict(task) | _made(task) for task in found if isinstance(task, Cost)])
    for axis in AXES:
        wanted = set(BATCHWISE) - {"energy"} if axis == "batch" else set(OPERATIONS)
        assert set(series(cost_points(table), axis)["operation"]) == wanted
    streams = [task for task in found if isinstance(task, StreamCost)]
    assert {(task.operation, task.seed) for task in streams} == set(itertools.product(STREAMED, range(3)))


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
        "peak_bytes": 4 * RESOLUTION + BYTE_PRICE * COUNTS[task.operation].held(size),
        "rank": size.rank,
        "threads": 1,
        "processor": "made",
    }


def made_rows(spread: float = 0.0) -> pd.DataFrame:
    chosen = [task for task in tasks(False) if isinstance(task, Cost)]
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
    for task in tasks(False):
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


BAD = {
    "operation": (lambda: Cost("sorting", 4, 4), "operation: expected .*energy.*, got 'sorting'"),
    "n": (lambda: Cost("dual", 1, 4), "n: expected"),
    "batch": (lambda: Cost("dual", 4, 4, batch=0), "batch: expected"),
    "decay": (lambda: Cost("dual", 4, 4, decay=-1.0), "decay: expected"),
    "repeats": (lambda: Cost("dual", 4, 4, repeats=2), "repeats: expected"),
    "streamed": (lambda: StreamCost("energy", 4, 4), "operation: expected .*alphaedit.*, got 'energy'"),
    "batches": (lambda: StreamCost("memit-seq", 4, 4, batches=2), "batches: expected"),
    "axis": (lambda: series(cost_points(made_rows()), "depth"), "axis: expected"),
    "rows": (lambda: cost_points(pd.DataFrame()), "rows: expected rows of Cost tasks, got none"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message):
        call()
