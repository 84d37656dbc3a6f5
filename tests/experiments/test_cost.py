"""Timed operations: a row a repetition or step, what is counted is what torch runs, memory is seen."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from sphere_theory.errors import InputError
from sphere_theory.experiments import cost
from sphere_theory.experiments.cost import BATCHWISE, OPERATIONS, STREAMED, Cost, StreamCost

MEBIBYTE = 2**20


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


def test_editors_are_timed_on_solves_that_factorise_nothing():
    for editor in ("memit-seq", "alphaedit"):
        for call in OPERATIONS[editor](Cost(editor, 8, 64, batch=2)).calls():
            assert int(call().state["factorisations"]) == 0


def test_the_meter_sees_what_is_allocated():
    peak = cost._peak_meter()
    held = torch.ones(4 * MEBIBYTE, dtype=torch.float64)
    grown = peak()
    if math.isnan(grown):
        pytest.skip("needs /proc/self/clear_refs and glibc")
    assert held.numel() * 8 <= grown + MEBIBYTE < held.numel() * 8 + 8 * MEBIBYTE


def test_the_energy_holds_no_copy_of_the_weights():
    n, d = 2048, 7168
    grown = [row["peak_bytes"] for row in Cost("energy", n, d).rows(Path())]
    if math.isnan(grown[0]):
        pytest.skip("needs /proc/self/clear_refs and glibc")
    assert min(grown) < 4 * n * d


BAD = {
    "operation": (lambda: Cost("sorting", 4, 4), "operation: expected .*energy.*, got 'sorting'"),
    "n": (lambda: Cost("dual", 1, 4), "n: expected"),
    "batch": (lambda: Cost("dual", 4, 4, batch=0), "batch: expected"),
    "decay": (lambda: Cost("dual", 4, 4, decay=-1.0), "decay: expected"),
    "repeats": (lambda: Cost("dual", 4, 4, repeats=2), "repeats: expected"),
    "streamed": (lambda: StreamCost("energy", 4, 4), "operation: expected .*alphaedit.*, got 'energy'"),
    "batches": (lambda: StreamCost("memit-seq", 4, 4, batches=2), "batches: expected"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message):
        call()
