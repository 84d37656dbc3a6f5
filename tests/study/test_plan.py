"""The study's plan: grids that read, enough seeds, and runs and experiments for every figure."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import replace

import pandas as pd
import pytest
from run_factory import UNIFORM, D, N, made_row

from sphere_theory.editing.control import Control
from sphere_theory.streams.entries import RunInfo, run_id
from sphere_theory.streams.grid import read_grid
from sphere_theory.streams.specs import Task
from sphere_theory.study import plan
from sphere_theory.study.choices import SEEDS_NEEDED
from sphere_theory.study.drawing import figures
from sphere_theory.study.plan import grids
from sphere_theory.study.question import RunFigure
from sphere_theory.study.run_table import facts

SIZES = [False, True]
FILES = [path for quick in SIZES for path in grids(quick=quick)]

# Points of a run; a course of more is thinned, since a choice asks for whether there are enough.
MOST = 20


def test_there_are_grids_of_both_sizes():
    full, quick = ([path.name for path in grids(quick=size)] for size in SIZES)
    assert len(full) > len(quick) > 5
    assert full == sorted(full)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_run_of_a_grid_has_seeds(path):
    seeds = defaultdict(set)
    for task in read_grid(path):
        # A random subspace is drawn anew with every seed.
        editor = replace(task.editor, seed=0) if isinstance(task.editor, Control) else task.editor
        seeds[task.host, replace(task.stream, seed=0), str(editor)].add(task.stream.seed)
    assert seeds
    assert all(len(found) >= SEEDS_NEEDED for found in seeds.values())


@pytest.mark.parametrize("quick", SIZES)
def test_everything_is_planned_once_and_the_longest_first(quick):
    found = plan(quick=quick)
    assert len(found) == len(found.tasks) + len(found.experiments)
    assert len(set(found.tasks)) == len(found.tasks)
    names = {(one.name, json.dumps(one.config(), sort_keys=True)) for one in found.experiments}
    assert len(names) == len(found.experiments)
    lengths = [task.stream.edits for task in found.tasks]
    assert lengths == sorted(lengths, reverse=True)
    asked = {str(task.editor) for path in grids(quick=quick) for task in read_grid(path)}
    assert {str(task.editor) for task in found.tasks} == asked


def test_the_quick_study_is_smaller():
    full, quick = plan(), plan(quick=True)
    assert len(quick.tasks) < len(full.tasks) / 2
    assert len(quick.experiments) < len(full.experiments)
    assert sum(task.stream.edits for task in quick.tasks) < sum(task.stream.edits for task in full.tasks) / 10


def _info(task: Task) -> RunInfo:
    """As the store would list it, had it been run."""
    host, asked = task.host, task.stream
    stream = {"source": host.source, "weights": host.weights, "order": asked.order}
    stream |= {name: getattr(host, name) for name in ("spectrum", "decay") if hasattr(host, name)}
    stream |= {"seed": asked.seed, "edits": asked.edits, "noise": asked.noise}
    config = {"editor": task.editor.record(), "stream": stream, "shape": [N, D], "batch": task.batch}
    config |= {"dtype": asked.dtype, "measures": task.measures.record()}
    return RunInfo(run_id(config), config, {}, "", "complete", asked.edits)


def _points(task: Task) -> list[dict[str, object]]:
    """Points as `load_points` returns them, of made numbers: the larger the settings, the sooner the end."""
    info = _info(task)
    known = facts(info)
    count = task.stream.edits // (task.batch * task.measures.every)
    strength = json.loads(known["settings"])
    ridge = float(strength.get("ridge", 1.0)) + float(strength.get("l2", 0.0))
    at_end = (0.3 + 0.05 * len(known["base"]) + 0.03 * task.stream.seed) * task.stream.edits
    at_end *= 1 + 0.1 * math.log1p(ridge) + (0.1 if known["operator"] else 0.0)
    rows = []
    for index in range(1, count + 1, math.ceil(count / MOST)):
        row = made_row(index * task.batch * task.measures.every, collapse=at_end, size=0.1 / (1 + ridge))
        if not task.measures.audits:
            row = {key: value for key, value in row.items() if not key.startswith(("total_", "step_c"))}
        if not task.measures.certificate:
            row.pop("path_bound")
        level = row["energy_change"] / UNIFORM
        more = {"energy_level": level, "energy_step": level / index, "rank_left": max(0.0, 1 - index / count)}
        rows.append(row | known | more)
    return rows


@pytest.fixture(scope="module", params=SIZES, ids=["full", "quick"])
def planned(request):
    return plan(quick=request.param)


@pytest.fixture(scope="module")
def points(planned) -> pd.DataFrame:
    return pd.DataFrame([row for task in planned.tasks for row in _points(task)])


FIGURES = figures()


@pytest.mark.parametrize("name", [name for name, one in FIGURES.items() if isinstance(one, RunFigure)])
def test_the_plan_has_the_runs_for_every_figure(points, name):
    hosts = [host for host in points["host"].unique() if len(FIGURES[name].choose(points, host))]
    assert hosts, f"no host of the plan has {FIGURES[name].needs}"


@pytest.mark.parametrize("name", [name for name, one in FIGURES.items() if not isinstance(one, RunFigure)])
def test_the_plan_has_the_experiments_for_every_figure(planned, name):
    figure = FIGURES[name]
    own = [one.config() for one in planned.experiments if one.name == figure.experiment]
    assert own, f"no {figure.experiment} is planned"
    assert len(figure.which(pd.DataFrame(own)))
