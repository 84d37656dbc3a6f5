"""Words and marks of layers: one group a model, whatever models there are."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from sphere_theory.plotting import canvas
from sphere_theory.study.layer_plots import (
    counted,
    dots,
    geometric_interval,
    name_groups,
    real_layers,
    synthetic_seeds,
)
from sphere_theory.study.statistics import mean_interval


def _row(family: str, host: str, seed: int = 0, *, real: bool = True) -> dict[str, object]:
    return {"family": family, "host": host, "seed": seed, "real": real, "what": "a", "value": 1.0 + seed}


ROWS = pd.DataFrame(
    [_row("A", f"A layer {layer}") for layer in (0, 1, 1)]
    + [_row("B", "B layer 7")]
    + [_row("drawn keys", "drawn keys", seed, real=False) for seed in range(3)]
)


def test_layers_are_counted_by_their_models():
    assert real_layers(ROWS) == "2 A layers and 1 B layer with recorded keys"
    assert real_layers(ROWS[~ROWS["real"]]) == "no real layer with recorded keys"
    assert synthetic_seeds(ROWS) == "3 seeds"


def test_one_thing_is_not_several():
    assert [counted(n, "batch", "batches") for n in (1, 2.0)] == ["1 batch", "2 batches"]


def test_a_geometric_mean_is_the_mean_of_logarithms():
    logs = mean_interval(np.array([0.0, 1.0, 3.0]))
    assert geometric_interval(np.exp([0.0, 1.0, 3.0])) == pytest.approx(tuple(np.exp(logs)))
    mean, low, high = geometric_interval(np.array([4.0]))
    assert mean == pytest.approx(4)
    assert math.isnan(low)
    assert math.isnan(high)


def test_every_group_has_its_mean_beside_the_others():
    _, axes = canvas()
    colours = {"A": "red", "drawn keys": "blue"}
    dots(axes, ROWS, "what", ["a", "nothing"], "value", colours)
    means = {line.get_gid(): line for line in axes.lines if line.get_gid() in colours}
    assert means["A"].get_xdata().tolist() == [1.0]
    assert means["drawn keys"].get_xdata().tolist() == [2.0]
    assert means["A"].get_ydata()[0] < 0 < means["drawn keys"].get_ydata()[0]
    name_groups(axes, colours, 0.9)
    assert [text.get_text() for text in axes.texts] == list(colours)
