"""Neurons' angles: the uniform law, known configurations, and what is measured is what the edits made."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import beta

from sphere_theory.analysis.neuron_maps import (
    AFTER,
    BEFORE,
    BIN,
    EDITORS,
    STATES,
    SUMMARY,
    UNIFORM,
    NeuronAngles,
    NeuronMap,
    angle_bins,
    angle_summary,
    joint_map,
    pair_angles,
    tasks,
    turns,
    uniform_share,
)
from sphere_theory.errors import InputError
from sphere_theory.streams.hosts import random_weight
from sphere_theory.streams.job import HostChoice, make_editor, make_host

SMALL = {"model": "synthetic", "shape": (16, 24), "source": "gaussian", "edits": 12, "batch": 5}
SETTINGS = ("ridge=15",)


@pytest.mark.parametrize("d", [2, 3, 24, 400])
def test_the_share_is_the_integral_of_the_density(d):
    for angle in (30.0, 80.0, 90.0, 97.0):
        part, _ = quad(lambda x: math.sin(x) ** (d - 2), 0, math.radians(angle))
        assert float(uniform_share(angle, d)) == pytest.approx(part / beta(0.5, (d - 1) / 2), abs=1e-9)


def test_uniform_directions_follow_the_share():
    found = angle_summary(random_weight(200, 30, seed=0))
    assert found["ks"] < 0.01
    assert found["total_variation"] < 0.05
    assert found["angle_sd"] == pytest.approx(found["sd_uniform"], rel=0.02)
    assert found["energy_uniform"] == pytest.approx(1, abs=0.01)


def test_a_bundle_of_neurons_is_far_from_uniform():
    found = angle_summary(random_weight(50, 30, seed=0) + 1.0)
    assert found["ks"] > 0.9
    assert found["total_variation"] > 0.9
    assert found["angle_max"] < 90


def test_angles_of_known_directions():
    W = np.array([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(sorted(pair_angles(W)), [45, 45, 90, 90, 135, 180], atol=1e-5)
    bars = angle_bins(W)
    assert len(bars) == 360
    assert sum(bar["count"] for bar in bars) == 6
    assert sum(bar["count"] for bar in bars if 89 < bar["low"] < 91) == 2
    # In the plane every angle is as likely as every other.
    np.testing.assert_allclose([bar["expected"] for bar in bars], 6 * 0.5 / 180)


@pytest.mark.parametrize("angle", [1e-9, 0.1, 90.0, 179.0])
def test_a_turn_is_measured_however_small(angle):
    radians = math.radians(angle)
    before = np.array([[1.0, 0.0], [0.0, 2.0]])
    turn = np.array([[math.cos(radians), math.sin(radians)], [-math.sin(radians), math.cos(radians)]])
    np.testing.assert_allclose(turns(before, 3 * before @ turn), angle, rtol=1e-6)


@pytest.mark.parametrize("sphere", [(), (0.5, 0.8)])
def test_rows_are_of_the_layer_before_and_after_the_edits(sphere, tmp_path):
    task = NeuronAngles(**SMALL, settings=SETTINGS, sphere=sphere, seed=3)
    rows = task.rows(tmp_path)
    choice = HostChoice("synthetic", shape=(16, 24), source="gaussian", edits=12, seed=3)
    memory, stream = make_host(choice, tmp_path)
    editor = make_editor("memit-seq", model="synthetic", settings=SETTINGS, sphere=sphere or None)
    before = memory.W
    for start, stop in ((0, 5), (5, 10), (10, 12)):
        memory = editor.apply(memory, stream.batch(start, stop))
    for state, W in zip((BEFORE, AFTER), (before, memory.W), strict=True):
        (summary,) = [row for row in rows if row["kind"] == SUMMARY and row["state"] == state]
        assert {name: summary[name] for name in angle_summary(W)} == pytest.approx(angle_summary(W))
        bars = [row for row in rows if row["kind"] == BIN and row["state"] == state]
        assert [bar["count"] for bar in bars] == [bar["count"] for bar in angle_bins(W)]
        assert sum(bar["count"] for bar in bars) == 16 * 15 / 2
        assert sum(bar["expected"] for bar in bars) == pytest.approx(120, abs=0.5)
    after = next(row for row in rows if row["kind"] == SUMMARY and row["state"] == AFTER)
    assert after["turn"] == pytest.approx(float(np.median(turns(before, memory.W))))
    assert after["turn_min"] < after["turn"] < after["turn_max"]
    assert {row["state"] for row in rows} == set(STATES)
    chance = next(row for row in rows if row["kind"] == SUMMARY and row["state"] == UNIFORM)
    assert math.isnan(chance["turn"])
    # The synthetic layer is one draw of uniform directions itself; chance is another.
    assert chance["ks"] != angle_summary(before)["ks"]
    assert repr(task.rows(tmp_path)) == repr(rows)


def test_a_map_has_every_neuron_in_both_states(tmp_path):
    task = NeuronMap(**SMALL, settings=SETTINGS, perplexity=5.0)
    rows = task.rows(tmp_path)
    assert [(row["state"], row["neuron"]) for row in rows] == [
        (state, neuron) for state in (BEFORE, AFTER) for neuron in range(16)
    ]
    assert [row["turn"] for row in rows[:16]] == [row["turn"] for row in rows[16:]]
    assert all(math.isfinite(row["x"]) and math.isfinite(row["y"]) for row in rows)
    assert task.rows(tmp_path) == rows


def test_neurons_that_did_not_turn_lie_on_themselves():
    W = random_weight(30, 8, seed=0)
    before, after = joint_map([W, 2 * W], perplexity=5, seed=0)
    distances = torch.cdist(torch.tensor(after), torch.tensor(before))
    assert torch.equal(distances.argmin(dim=1), torch.arange(30))


@pytest.mark.parametrize("quick", [True, False])
def test_tasks_have_each_editor_with_and_without_sphere(quick):
    found = tasks(quick)
    assert len(set(found)) == len(found)
    assert not any(task.alone for task in found)
    angles = [task for task in found if isinstance(task, NeuronAngles)]
    kinds = {(task.model, task.editor, bool(task.sphere), task.seed) for task in angles}
    assert len(angles) == len(kinds) == 2 * len(EDITORS) * 2 * 3
    assert {task.seed for task in found if isinstance(task, NeuronMap)} == {0}


BAD = {
    "edits": (lambda: NeuronAngles(edits=0), "edits: expected"),
    "sphere": (lambda: NeuronAngles(sphere=(0.5,)), "sphere: expected η and α, or nothing, got"),
    "editor": (lambda: NeuronAngles(editor="magic"), "name: expected one of"),
    "perplexity": (lambda: NeuronMap(perplexity=0.0), "perplexity: expected"),
    "too few": (
        lambda: joint_map([random_weight(3, 8, seed=0)], perplexity=5, seed=0),
        "perplexity: expected",
    ),
    "one neuron": (lambda: pair_angles(np.ones((1, 3))), "at least 2 neurons"),
    "shapes": (lambda: turns(np.ones((2, 3)), np.ones((3, 3))), "after: expected shape"),
    "d": (lambda: uniform_share(90.0, 1), "d: expected"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message):
        call()
