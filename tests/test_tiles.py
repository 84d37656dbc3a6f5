"""Every pair once, the same numbers in parts, and no float64 where float32 will do."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import torch

from sphere_theory.neurons import as_neurons
from sphere_theory.tiles import _products, tiles


@pytest.mark.parametrize("n", [1, 2, 511, 512, 513, 1100])
def test_tiles_hold_each_pair_once(n: int) -> None:
    seen = np.zeros((n, n), dtype=int)
    for tile in tiles(as_neurons(np.random.default_rng(n).normal(size=(n, 3)))):
        seen[tile.rows, tile.cols] += tile.multiplicity
        assert tile.diagonal == (tile.rows == tile.cols)
        if tile.diagonal:
            assert torch.isinf(tile.squared.diagonal()).all()
    assert (seen + seen.T == 2).all()


@pytest.mark.parametrize("structure", ["gaussian", "tight cluster", "huge", "two values"])
def test_tiles_of_two_parts_are_those_of_the_whole(structure: str) -> None:
    W = torch.from_numpy(
        naive.structured("gaussian" if structure == "two values" else structure, 3, 1300, 40, "float32")
    )
    # Weights of two values round all alike: some tiles are then multiplied in float64, some not.
    W = W.sign() * 0.1 if structure == "two values" else W
    whole = {(t.rows.start, t.cols.start): t for t in tiles(as_neurons(W))}
    parts = [slice(0, 512), slice(512, 1300)]
    for tile in tiles(as_neurons(W), split=512):
        assert (tile.rows, tile.multiplicity) == (parts[0], 2)
        same = whole.pop((0, tile.cols.start))
        assert torch.equal(tile.squared, same.squared)
        assert torch.equal(tile.near, same.near)
    for part in parts:
        for tile in tiles(as_neurons(W[part])):
            same = whole.pop((part.start + tile.rows.start, part.start + tile.cols.start))
            assert torch.equal(tile.squared, same.squared)
    assert not whole


@pytest.mark.parametrize("structure", ["gaussian", "positive"])
def test_ordinary_layers_are_multiplied_in_float32(structure: str) -> None:
    """What the check of their rounding accepts: float64 would take twice the time."""
    neurons = as_neurons(naive.structured(structure, 30, 600, 2000, "float32"))
    runs = [slice(0, 512), slice(512, 600)]
    multiply = _products(neurons, runs)
    assert [multiply(runs[0], cols).dtype for cols in runs] == [torch.float32] * 2
