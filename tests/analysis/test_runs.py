"""The table of all runs, and where each of them collapses."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from made import UNIFORM, D, made_run, made_study

from sphere_theory.analysis.runs import PREDICTORS, collapses, facts, gather
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.errors import InputError
from sphere_theory.streams.hosts import random_weight
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.runner import run_stream
from sphere_theory.streams.sources import Synthetic, make_stream
from sphere_theory.streams.store import RunInfo, RunStore


@pytest.fixture
def store(tmp_path):
    with RunStore(tmp_path) as opened:
        yield opened


def test_rows_are_those_with_all_columns_beside_what_the_run_was(store):
    name = made_run(store, "alphaedit", sphere=(0.5, 0.5), seed=7, every=4)
    points = gather(store)
    assert points["edits"].tolist() == [200, 400, 600, 800, 1000]
    first = points.iloc[0]
    known = {"run": name, "base": "alphaedit", "editor": "alphaedit + SPHERE", "seed": 7, "planned": 1000}
    assert {key: first[key] for key in known} == known
    assert first["host"] == "recorded made keys, random order, 16×24"
    assert first["energy_level"] == pytest.approx(0.01 * 200 / UNIFORM)
    assert first["energy_step"] == pytest.approx(0.01 * 50 / UNIFORM)  # over one batch, not over four
    assert points["rank_left"].tolist() == [0.0] * 5
    assert points["rank_left"].max() == max(0, 1 - 200 / D)


@pytest.mark.parametrize(
    ("stream", "host"),
    [
        (
            {"source": "recorded", "prompts": "packaged", "weights": "MiniLM layer 2", "order": "random"},
            "MiniLM layer 2, recorded packaged keys, random order, 16×24",
        ),
        (
            {
                "source": "gaussian",
                "second_moment": "packaged",
                "weights": "MiniLM layer 3",
                "order": "random",
            },
            "MiniLM layer 3, gaussian keys with the second moment of packaged, random order, 16×24",
        ),
        (
            {
                "source": "gaussian",
                "spectrum": "power",
                "decay": 1.0,
                "weights": "synthetic",
                "order": "clustered",
            },
            "synthetic, gaussian keys, power spectrum (1), clustered order, 16×24",
        ),
        ({"source": "recorded", "order": "random"}, "recorded keys, random order, 16×24"),
    ],
)
def test_a_host_is_called_by_its_layer_and_its_keys(stream, host):
    stream = stream | {"seed": 0, "edits": 5}
    config = {"editor": {"name": "memit"}, "stream": stream, "shape": [16, 24], "batch": 5}
    config |= {"dtype": "float64", "measures": Measures().record()}
    found = facts(RunInfo("a", config, {}, "", "complete", 5))
    assert found["host"] == host
    assert found["conditions"] == "float64, among 1000 edited and 100 preserved values"


def test_settings_that_are_not_the_papers_are_in_the_label(store):
    made_run(store, "alphaedit", sphere=(0.5, 0.8))
    made_run(store, "memit", sphere=(0.5, 0.8))
    made_run(store, "memit-seq", sphere=(0.3, 0.8), options={"compensate": True})
    labels = gather(store)["editor"].unique().tolist()
    assert sorted(labels) == [
        "alphaedit + SPHERE (η=0.5, α=0.8)",
        "memit + SPHERE",
        "memit-seq + SPHERE (η=0.3, α=0.8, compensate=True)",
    ]


def test_controls_are_no_sphere(store):
    made_run(store, "memit", sphere=(0.5, 0.8), control="random", options={"seed": 5}, seed=2)
    made_run(store, "memit", sphere=(0.3, 0.8), control="shrink")
    made_run(store, "memit", sphere=(0.5, 0.8), seed=1)
    made_run(store, "memit")
    columns = ["editor", "base", "operator", "eta", "variant"]
    runs = gather(store)[columns].drop_duplicates().fillna(0).to_numpy().tolist()
    assert runs == [
        ["memit", "memit", "", 0, ""],
        ["memit + SPHERE", "memit", "SPHERE", 0.5, ""],
        ["memit + same-norm shrinkage (η=0.3, α=0.8)", "memit", "same-norm shrinkage", 0.3, ""],
        ["memit + random subspace", "memit", "random subspace", 0.5, ""],
    ]


def test_the_order_of_runs_does_not_depend_on_when_they_were_made(store):
    made_run(store, "alphaedit", seed=1)
    made_run(store, "memit", sphere=(0.5, 0.8))
    made_run(store, "alphaedit", seed=0)
    made_run(store, "memit", seed=3)
    runs = gather(store)[["editor", "seed"]].drop_duplicates().to_numpy().tolist()
    assert runs == [["memit", 3], ["memit + SPHERE", 0], ["alphaedit", 0], ["alphaedit", 1]]


def test_a_store_without_such_points_is_refused(store):
    with pytest.raises(InputError, match="store: expected runs with all measures, got none in"):
        gather(store)
    made_run(store, every=1000)
    with pytest.raises(InputError, match="got none in"):
        gather(store)


def test_a_real_run_has_every_column(store):
    W = random_weight(16, 24, seed=0).double()
    keys = Synthetic().draw(50, 24).to(W)
    stream = make_stream(W, keys[:20], keys[20:], edits=20, record={"source": "small"})
    memory = LayerMemory(W, Synthetic().second_moment(24))
    run_stream(memory, MemitSequential(ridge=5.0), stream, Measures(every=1), store, batch=10)
    points = gather(store)
    assert points[list(PREDICTORS)].notna().all(axis=None)
    assert points["rank_left"].tolist() == pytest.approx([1 - 10 / 24, 1 - 20 / 24])
    before = points["energy"].iloc[0] - points["energy_change"].iloc[0]
    uniform = points["energy"].iloc[0] / points["energy_uniform"].iloc[0]
    level = abs(points["energy"] - before) / uniform
    assert points["energy_level"].tolist() == pytest.approx(level.tolist())


def _points(efficacy: list[float], specificity: list[float], status: str = "complete") -> pd.DataFrame:
    count = len(efficacy)
    facts = {"run": "a", "host": "h", "base": "b", "settings": "", "editor": "b", "seed": 0}
    facts |= {"batch_size": 10, "planned": 100, "conditions": "", "status": status}
    columns = {"edits": 10 * np.arange(1, count + 1), "efficacy": efficacy, "specificity": specificity}
    return pd.DataFrame(columns).assign(**facts)


@pytest.mark.parametrize(
    ("efficacy", "specificity", "status", "collapse", "by"),
    [
        ([1, 0.75, 0.25], [1, 1, 1], "complete", 25, "efficacy"),
        ([1, 0.75, 0.25], [1, 0.3, 0.2], "complete", 10 + 10 * 0.5 / 0.7, "specificity"),
        ([1, 1, 1], [1, 1, 0.5], "complete", math.inf, "held"),
        ([0.1, 0.2, 0.1], [1, 0.2, 0.1], "complete", math.nan, "never learned"),
        ([0.2, 0.6, 0.4], [1, 1, 1], "complete", 25, "efficacy"),  # it has to be there before it falls
        ([0.6, 0.2, 0.9], [1, 1, 1], "complete", 10 + 10 * 0.1 / 0.4, "efficacy"),  # and may come back
        ([1, 1, 1], [0.3, 0.2, 0.1], "complete", 10, "specificity"),
        ([1, 1, 1], [1, 1, 1], "collapsed at edit 30: weights are not finite", 30, "weights"),
        ([1, 0, 0], [1, 1, 1], "collapsed at edit 30: weights are not finite", 15, "efficacy"),
    ],
)
def test_a_collapse_is_the_first_fall_below_the_level(efficacy, specificity, status, collapse, by):
    (row,) = collapses(_points(efficacy, specificity, status)).to_dict("records")
    assert row["collapse"] == pytest.approx(collapse, nan_ok=True)
    assert (row["by"], row["last"]) == (by, 30)


def test_the_level_moves_the_collapse(store):
    made_study(store, seeds=1)
    points = gather(store)
    early, late = (collapses(points, level=level)["collapse"] for level in (0.9, 0.5))
    assert (early < late).all()
    with pytest.raises(InputError, match="level"):
        collapses(points, level=0.0)
