"""What findings say is what the store's rows say."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from made import made_run

from sphere_theory.analysis.probed import Probe
from sphere_theory.analysis.resampling import mean_interval
from sphere_theory.analysis.spaces import KeyGeometry, SpaceOverlap
from sphere_theory.analysis.warning import SIGNALS
from sphere_theory.streams.store import RunStore
from sphere_theory.study import answers, reviews
from sphere_theory.study.estimates import Lines
from sphere_theory.study.page import judged, number, span

SMALL = {"model": "synthetic", "shape": (12, 40), "source": "gaussian"}


def cells(lines: Lines) -> list[list[str]]:
    """Of the rows of all tables."""
    text = "\n".join(lines).splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text if line.startswith("|")]


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers")
    with RunStore(folder) as store:
        tasks = [KeyGeometry(**SMALL, sizes=(5, 10), draws=1, seed=seed) for seed in range(3)]
        tasks.append(SpaceOverlap(**SMALL, thresholds=(0.5,), batch=10, batches=1))
        tasks.append(Probe(shape=(4, 3), sizes=(1e-3,)))
        for task in tasks:
            store.keep_experiment(task.name, task.config(), task.rows(folder))
        for seed in range(3):
            for settings in ({"ridge": 1.0}, {"ridge": 10.0}, {"ridge": 100.0}):
                made_run(store, "memit", seed=seed, settings=settings, step=settings["ridge"] / 10)
            made_run(store, "ft", seed=seed)
        yield answers.Material(store, samples=20)


def test_keys_are_compared_in_sets_of_one_size(material):
    keys = material.rows("keys")
    own = keys[(keys["kind"] == "set") & (keys["of"] == "preserved") & (keys["keys"] == 10)]["error_best"]
    head, _, (_, error, participation, dimension) = cells(reviews.orthonormal(material))[:3]
    assert head[1] == "off by"
    assert error == span(mean_interval(own.to_numpy()), ".3f")
    spectrum = keys[keys["kind"] == "spectrum"]
    assert (participation, dimension) == (number(spectrum["participation"].mean(), ".1f"), "40")


def test_an_editor_without_a_strength_has_its_row(material):
    rows = cells(answers.smallness(material))[2:]
    assert {tuple(row[:2]) for row in rows} == {
        ("memit", "1"),
        ("memit", "10"),
        ("memit", "100"),
        ("ft", "–"),
    }


def test_inputs_that_the_theorem_lacks_do_not_mix_with_those_that_it_has(material):
    probe = material.rows("probe")
    alone = answers.Material(material.store)
    alone.__dict__["points"] = material.points.drop(columns="total_certified")
    for row in cells(answers.bounded(alone)):
        if row[0] == "Gaussian":
            own = probe[(probe["inputs"] == row[1]) & ("K " + probe["constant"] == row[2])]
            counts = [f"{own[name].sum():,}" for name in ("trials", "applicable", "violations")]
            assert row[3:6] == counts
            assert row[6] == number(own["tightness"].max(), ".1e")


def test_one_layer_tells_nothing_of_chance(material):
    row = cells(reviews.overlapping(material))[-1]
    assert row[2] == "1"
    assert row[-1] == "–"
    words = ("above", "below", "neither")
    assert [judged(*ends, *words) for ends in ((1, 2), (-2, -1), (-1, 1))] == list(words)
    assert judged(math.nan, math.nan, *words) == "–"


def test_every_signal_has_a_name_in_words():
    assert answers._labels(pd.Index(["edits", "lost"])) == (SIGNALS["edits"], SIGNALS["lost"])
    assert answers._labels(pd.Index(np.array([], dtype=object))) == ()
