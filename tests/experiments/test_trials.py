"""Trials of the probe: weights, edits and inputs are what their cell says."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import naive
import numpy as np
import pytest
import torch

from sphere_theory.energy import energy_gradient
from sphere_theory.errors import InputError
from sphere_theory.experiments.trials import DIRECTIONS, Cell, as_layer, draw

CELL = Cell(5, 4, 1e-2, "orthonormal", 1.0, "random")
PLACES = {"orthonormal": 1.0, "partial": math.inf, "conditioned": 1e6, "deficient": math.inf}


def pieces(**changes: Any) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    drawn = [draw(replace(CELL, **changes), trial) for trial in range(5)]
    return [(case.W.numpy(), case.delta.numpy(), case.inputs.X.numpy()) for case in drawn]


def cosine(A: np.ndarray, B: np.ndarray) -> float:
    return float((A * B).sum() / np.linalg.norm(A) / np.linalg.norm(B))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("inputs", PLACES)
def test_edits_have_their_size(direction: str, inputs: str) -> None:
    for size in (1e-8, 1.0):
        for W, delta, X in pieces(direction=direction, inputs=inputs, condition=PLACES[inputs], size=size):
            assert (W.shape, delta.shape, X.shape[0]) == ((5, 4), (5, 4), 4)
            naive.check_close(np.linalg.norm(delta) / np.linalg.norm(W), size, 1e-12)


def test_each_direction_is_what_it_says() -> None:
    for W, delta, _ in pieces(direction="tangent"):
        along = (delta * W).sum(axis=1) / np.linalg.norm(delta, axis=1) / np.linalg.norm(W, axis=1)
        assert np.abs(along).max() < 1e-14
    for W, delta, _ in pieces(direction="radial"):
        factors = delta / W
        naive.check_close(factors, factors[:, :1] * np.ones(4), 1e-12)
        assert factors.min() > 0
        assert np.ptp(factors[:, 0]) > 0
    for sign, direction in ((1, "ascent"), (-1, "descent")):
        for W, delta, _ in pieces(direction=direction):
            assert cosine(delta, sign * energy_gradient(W)) > 1 - 1e-12
    for _, delta, _ in pieces(direction="low-rank"):
        assert np.linalg.matrix_rank(delta) == 1
    for W, delta, _ in pieces(direction="random"):
        assert np.linalg.matrix_rank(delta) == 4
        assert abs(cosine(delta, energy_gradient(W))) < 0.9


def test_each_kind_of_inputs_is_what_it_says() -> None:
    def values(inputs: str) -> list[np.ndarray]:
        drawn = pieces(inputs=inputs, condition=PLACES[inputs])
        return [np.linalg.svd(X, compute_uv=False) for _, _, X in drawn]

    for spectrum in values("orthonormal"):
        naive.check_close(spectrum, np.ones(4), 1e-12)
    for spectrum in values("partial"):
        assert 1 <= len(spectrum) < 4
        naive.check_close(spectrum, np.ones(len(spectrum)), 1e-12)
    for spectrum in values("conditioned"):
        naive.check_close(spectrum, [1, 1e-2, 1e-4, 1e-6], 1e-9)
    for spectrum in values("deficient"):
        rank = int((spectrum > 1e-12).sum())
        assert 1 <= rank < len(spectrum) == 4
        naive.check_close(spectrum[:rank], np.ones(rank), 1e-12)
    assert len({len(spectrum) for spectrum in values("partial")}) > 1


@pytest.mark.parametrize("inputs", PLACES)
def test_weak_directions_are_where_the_inputs_see_least(inputs: str) -> None:
    for trial in range(5):
        found = draw(replace(CELL, inputs=inputs, condition=PLACES[inputs]), trial).inputs
        X, weak = found.X.numpy(), found.weak.numpy()
        one, seen = np.eye(weak.shape[1]), X.T @ weak
        least = np.linalg.svd(X @ X.T, compute_uv=False)[-1]  # σ²; 0 where X does not see all
        naive.check_close(weak.T @ weak, one, 1e-12, 1.0)
        naive.check_close(seen.T @ seen, least * one, 1e-14, 1.0)


def test_directions_meet_the_same_weights_and_inputs() -> None:
    drawn = [draw(replace(CELL, direction=name, inputs="partial"), 3) for name in DIRECTIONS]
    for case in drawn:
        assert torch.equal(case.W, drawn[0].W)
        assert torch.equal(case.inputs.X, drawn[0].inputs.X)
    assert not torch.equal(drawn[0].W, draw(CELL, 4).W)
    assert not torch.equal(drawn[0].W, draw(replace(CELL, size=1.0), 3).W)
    assert not torch.equal(drawn[0].W, draw(CELL, 3, seed=1).W)


@pytest.mark.parametrize("m", [4, 6, 20])
def test_a_layer_knows_where_its_keys_see_least(m: int) -> None:
    rng = np.random.default_rng(0)
    W, X = rng.normal(size=(5, 6)), rng.normal(size=(6, m))
    layer = as_layer(W, X)
    weak = layer.keys.weak.numpy()
    if m < 6:
        assert (layer.condition, weak.shape) == (math.inf, (6, 6 - m))
        assert np.abs(X.T @ weak).max() < 1e-12
    else:
        assert weak.shape == (6, 1)
        naive.check_close(layer.condition, np.linalg.cond(X), 1e-9)
        naive.check_close(np.linalg.norm(X.T @ weak), np.linalg.svd(X)[1][-1], 1e-9)
    assert as_layer(W, X).digest == layer.digest != as_layer(W, 2 * X).digest


@pytest.mark.parametrize("given", ["W", "keys"])
def test_half_a_layer_is_refused(given: str) -> None:
    both = {"W": None, "keys": None} | {given: np.eye(3)}
    other = {"W": "keys", "keys": "W"}[given]
    message = f"{other}: expected both W and keys, or neither, got None"
    naive.check_refused(lambda: as_layer(**both), InputError, message)
