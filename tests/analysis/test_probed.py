"""The study's tasks on Theorem 1: what is probed, and that rows are those of `probe_bound`."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from sphere_theory.analysis import probed
from sphere_theory.analysis.probe import SIZES, probe_bound
from sphere_theory.analysis.probed import SYNTHETIC, Probe, tasks

FOLDER = Path("not looked at")
SMALL = Probe(shape=(4, 3), sizes=(1e-2,), trials=1, seed=2)


def test_rows_are_those_of_the_probe_with_the_worst_of_each_cell():
    found = pd.DataFrame(SMALL.rows(FOLDER))
    expected = probe_bound(shapes=[(4, 3)], conditions=[1e6], sizes=(1e-2,), trials=1, seed=2)
    assert len(found) == len(expected) > 0
    pd.testing.assert_frame_equal(found[list(expected)], expected, check_dtype=False)
    assert found["tightness"].equals(found["tightness_max"])
    certified = found[found["constant"] == "certified"]
    assert certified["applicable"].sum() > 0
    assert certified["violations"].sum() == 0
    assert found[found["constant"] == "gradient"]["violations"].sum() > 0


def test_rows_are_plain_and_depend_on_the_seed():
    rows = SMALL.rows(FOLDER)
    assert all(type(value) in (str, int, float, bool) for row in rows for value in row.values())
    assert repr(rows) == repr(SMALL.rows(FOLDER))
    assert repr(rows) != repr(Probe(shape=(4, 3), sizes=(1e-2,), trials=1, seed=3).rows(FOLDER))


def test_a_real_layer_is_probed_with_its_own_weights_and_keys(monkeypatch, tmp_path):
    generator = torch.Generator().manual_seed(0)
    W, keys = torch.randn(5, 4, generator=generator), torch.randn(9, 4, generator=generator)
    asked = []

    def recorded(layer, prompts, folder):
        asked.append((layer, folder))
        return type("Recorded", (), {"keys": keys})

    monkeypatch.setattr(probed, "record_minilm", recorded)
    monkeypatch.setattr(probed, "minilm_weight", lambda layer: W)
    found = pd.DataFrame(Probe(layer=2, sizes=(1e-2,), trials=1).rows(tmp_path))
    assert asked == [(2, tmp_path)]
    assert set(found["inputs"]) == {"activations"}
    assert set(found[["n", "d"]].itertuples(index=False, name=None)) == {(5, 4)}
    # A batch of edits needs keys that span the space, which subjects that repeat do not.
    assert "low-rank" not in set(found["direction"])
    assert "adversarial" in set(found["direction"])


@pytest.mark.parametrize("quick", [False, True])
def test_tasks_have_three_seeds_of_weights_and_of_a_real_layer(quick):
    found = tasks(quick)
    assert len(set(found)) == len(found)
    shapes = {task.shape for task in found if task.layer == SYNTHETIC}
    for shape in shapes:
        assert {task.seed for task in found if (task.layer, task.shape) == (SYNTHETIC, shape)} == {0, 1, 2}
    assert {task.seed for task in found if task.layer == 3} == {0, 1, 2}
    assert not any(task.alone for task in found)
    for task in found:
        assert set(task.sizes) <= set(SIZES)
        assert json.loads(json.dumps(task.config())) == {**task.config(), **_listed(task)}
    assert len(tasks(True)) < len(tasks(False))


def _listed(task: Probe) -> dict[str, object]:
    return {key: list(value) for key, value in task.config().items() if isinstance(value, tuple)}
