"""Synthetic layers: neurons and keys from one seed are not each other, and C0 is exactly the keys'."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from naive import check_refused

from sphere_theory.errors import RangeError
from sphere_theory.hosts.base import StreamSpec
from sphere_theory.hosts.keys import KINDS, SyntheticKeys
from sphere_theory.hosts.synthetic import PRESERVED, SyntheticLayer, random_weight, under_synthetic_keys

W = random_weight(6, 12, seed=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_synthetic_host(kind: str) -> None:
    source = SyntheticKeys(kind, seed=2)
    memory, stream = under_synthetic_keys(W.double(), source, StreamSpec(40, "similarity", 3, 0.3))
    assert torch.equal(memory.moment(), source.second_moment(12))
    assert torch.equal(memory.W, W.double())
    assert (len(stream), len(stream.preserved), stream.noise) == (40, PRESERVED, 0.3)
    record = {"source": kind, "kind": kind, "order": "similarity", "seed": 3, "noise": 0.3, "edits": 40}
    assert {name: stream.record[name] for name in record} == record
    drawn = {tuple(key) for key in source.draw(40 + PRESERVED, 12).double().tolist()}
    assert {tuple(key) for key in torch.cat([stream.keys, stream.preserved]).tolist()} == drawn


def test_no_more_orthonormal_edits_than_dimensions_are_one_orthonormal_set() -> None:
    _, stream = under_synthetic_keys(W, SyntheticKeys("orthonormal"), StreamSpec(12))
    keys = stream.keys / math.sqrt(12)
    torch.testing.assert_close(keys @ keys.T, torch.eye(12))


@pytest.mark.parametrize("kind", KINDS)
def test_neurons_of_a_synthetic_layer_are_not_its_keys(kind: str) -> None:
    memory, stream = SyntheticLayer((64, 256), kind, "flat").make(StreamSpec(100), Path())
    units = torch.nn.functional.normalize
    cosines = units(memory.W) @ units(stream.keys.double()).T
    assert float(cosines.abs().max()) < 6 / math.sqrt(256)  # six standard deviations of chance


def test_random_weights() -> None:
    wide = random_weight(50, 2000, seed=1)
    assert wide.dtype == torch.float32
    assert torch.equal(wide, random_weight(50, 2000, seed=1))
    assert not torch.equal(wide, random_weight(50, 2000, seed=2))
    torch.testing.assert_close(wide.norm(dim=1), torch.ones(50), rtol=0.1, atol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_layer_with_its_edits(kind: str, dtype: str, folder: Path) -> None:
    host = SyntheticLayer((6, 9), kind, "exponential", 2.0)
    memory, stream = host.make(StreamSpec(20, seed=4, dtype=dtype), folder)
    assert (memory.W.shape, str(memory.W.dtype)) == ((6, 9), f"torch.{dtype}")
    assert torch.equal(memory.moment(), SyntheticKeys(kind, "exponential", 2.0, 4).second_moment(9))
    assert (len(stream), stream.batch(0, 2).keys.dtype) == (20, memory.W.dtype)
    assert stream.record["weights"] == "synthetic"
    assert not list(folder.iterdir())


def test_in_words() -> None:
    assert str(SyntheticLayer()) == "synthetic, gaussian keys"
    assert SyntheticLayer(source="orthonormal").label == "orthonormal keys"
    assert SyntheticLayer(spectrum="flat").label == "gaussian keys, flat spectrum"
    assert SyntheticLayer((3, 4)).record() == {
        "model": "synthetic",
        "shape": (3, 4),
        "source": "gaussian",
        "spectrum": "power",
        "decay": 1.0,
    }


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "shape": (lambda: random_weight(1, 5, seed=0), "shape: expected at least 2×2, got 1×5"),
    "source": (
        lambda: SyntheticLayer(source="recorded"),
        "source: expected one of 'gaussian', 'orthonormal', 'clustered', got 'recorded'",
    ),
    "spectrum": (
        lambda: SyntheticLayer(spectrum="pink").make(StreamSpec(4), Path()),
        "spectrum: expected one of 'flat', 'power', 'exponential', got 'pink'",
    ),
    "dtype": (
        lambda: StreamSpec(dtype="float16"),
        "dtype: expected one of 'float32', 'float64', got 'float16'",
    ),
    "order": (
        lambda: SyntheticLayer((6, 12)).make(StreamSpec(4, "best"), Path()),
        "order: expected one of 'random', 'clustered', 'similarity', got 'best'",
    ),
    "noise": (
        lambda: SyntheticLayer((6, 12)).make(StreamSpec(4, noise=-1.0), Path()),
        "noise: expected a number in (0, ∞), got -1.0",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_use(name: str) -> None:
    call, message = BAD[name]
    check_refused(call, RangeError, message)
