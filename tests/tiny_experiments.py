"""Experiments that take no time: small tasks that are measured, and costs by a formula."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sphere_theory.experiments.base import Experiment
from sphere_theory.experiments.cost import BATCHWISE, STREAMED, Cost, StreamCost
from sphere_theory.experiments.cost_counts import COUNTS, Size
from sphere_theory.experiments.energy_directions import EnergyDirections
from sphere_theory.experiments.energy_stabilization import EnergyStabilization
from sphere_theory.experiments.interventions import Intervention
from sphere_theory.experiments.key_geometry import KeyGeometry
from sphere_theory.experiments.probe import Probe
from sphere_theory.experiments.space_overlap import SpaceOverlap
from sphere_theory.hosts.synthetic import SyntheticLayer
from sphere_theory.streams.store import RunStore
from sphere_theory.study.run_table import experiment_rows

Row = dict[str, Any]

MACHINE = {"threads": 2, "processor": "a made processor"}
DECAYS = [*((operation, 0.0) for operation in COUNTS), ("randomized", 1.0)]
POINTS = [(n, 64, 10) for n in (16, 32, 64)]
POINTS += [(32, d, 10) for d in (32, 64, 112, 256)]
POINTS += [(n, int(3.5 * n), 10) for n in (16, 32, 64)]
POINTS += [(32, 64, b) for b in (5, 10, 20)]

LAYER: Row = {"host": SyntheticLayer((12, 20))}
EDITS: Row = LAYER | {"settings": ("ridge=10",), "edits": 20, "batch": 10}


def made_costs() -> Iterator[tuple[Cost, list[Row]]]:
    """Times and memories of a model, with repetitions 10% apart."""
    for operation, decay in DECAYS:
        for n, d, batch in dict.fromkeys(POINTS):
            if batch != 10 and (operation not in BATCHWISE or operation == "energy"):
                continue
            rank = 0 if operation in ("energy", "energy update", "memit-seq", "alphaedit") else n // 4
            size = Size(n, d, batch, rank)
            terms, held = COUNTS[operation].terms(size), COUNTS[operation].held_bytes(size)
            seconds = 1e-9 * terms.flops + 1e-9 * terms.other
            rows = [
                {"repeat": k, "seconds": seconds * (0.9 + 0.1 * k), "peak_bytes": 2**21 + held, "rank": rank}
                for k in range(3)
            ]
            yield Cost(operation, n, d, batch, decay), [row | MACHINE for row in rows]


def made_stream_costs() -> Iterator[tuple[StreamCost, list[Row]]]:
    """Steps whose time grows with their number, but for seed 0."""
    for operation in STREAMED:
        for seed in range(3):
            rows = [
                {
                    "step": step,
                    "edits": 2 * step,
                    "seconds": 1e-3 * (1 + 0.1 * (step % 3) + 0.01 * seed * step),
                    "state_bytes": 2**20 * (1 + step % 2),
                }
                for step in range(1, 31)
            ]
            task = StreamCost(operation, 8, 16, batch=2, batches=30, seed=seed)
            yield task, [row | MACHINE for row in rows]


def tiny_tasks() -> list[Experiment]:
    """One layer on three seeds for every question."""
    tasks: list[Experiment] = []
    for seed in range(3):
        layer, edits = LAYER | {"seed": seed}, EDITS | {"seed": seed}
        tasks += [
            KeyGeometry(**layer, sizes=(5, 10), draws=1),
            EnergyDirections(**layer, batch=6, batches=1, threshold=0.5),
            SpaceOverlap(**layer, batch=6, batches=1, thresholds=(0.5,)),
            Intervention(**edits, sizes=(0.2,)),
            EnergyStabilization(**edits),
            Probe(shape=(4, 3), sizes=(1e-3, 1e-1), trials=1, seed=seed),
        ]
    return tasks


def keep_tiny(store: RunStore, folder: Path) -> None:
    """Measure all of it into a store."""
    found = [(task, task.rows(folder)) for task in tiny_tasks()]
    for task, rows in [*found, *made_costs(), *made_stream_costs()]:
        store.keep_experiment(task.name, task.config(), rows)


def stored_rows(tasks: Sequence[Experiment], folder: Path, *, real: str) -> pd.DataFrame:
    """Rows of one kind as the study reads them, real layers first.

    Those under one source of keys are called a real layer's, numbered by seed: no test waits for a model.
    """
    with RunStore(folder) as store:
        for task in tasks:
            store.keep_experiment(task.name, task.config(), task.rows(folder))
        rows = experiment_rows(store, tasks[0].name)
    own = rows["source"] == real
    labels = rows["host"].where(~own, "MiniLM layer " + rows["seed"].astype(str))
    found = rows.assign(real=own, host=labels, family=rows["family"].where(~own, "MiniLM"))
    return found.sort_values("real", ascending=False, kind="stable", ignore_index=True)
