"""Recorded keys: streams of the recorded facts, and of keys like them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import pytest
import torch
from naive import check_refused

from sphere_theory.errors import RangeError
from sphere_theory.hosts.base import StreamSpec
from sphere_theory.hosts.keys import SyntheticKeys
from sphere_theory.hosts.recorded import Recorded, recorded_once
from sphere_theory.hosts.synthetic import PRESERVED, random_weight, under_synthetic_keys
from sphere_theory.models.datasets import PromptSet

NOTHING = PromptSet("none", (), (), ())


def a_recording(d: int = 12, facts: int = 30) -> Recorded:
    keys = SyntheticKeys(seed=1).draw(facts, d)
    moment = torch.diag(torch.linspace(0.5, 2, d, dtype=torch.float64))
    return Recorded("made", keys, -keys, keys[:4] + 1, moment, 99)


W = random_weight(6, 12, seed=0)


def test_a_stream_of_recorded_facts() -> None:
    recorded = a_recording()
    W64 = W.double()
    whole = recorded.stream(W64, StreamSpec(70, seed=1, noise=0.0))
    assert (len(whole), len(whole.values), whole.record["facts"]) == (70, 30, 30)
    assert whole.keys.dtype == torch.float32, "expected keys as they were recorded: half the memory"
    assert whole.batch(0, 3).keys.dtype == whole.preserved.dtype == whole.values.dtype == torch.float64
    assert torch.equal(whole.other_keys(0, 70), -whole.own_keys(0, 70)), (
        "expected the same facts' paraphrases"
    )
    few, other = (recorded.stream(W, StreamSpec(10, seed=seed, noise=0.0)) for seed in (1, 2))
    assert (len(few), len(few.values)) == (10, 10)
    rows = {tuple(key) for key in recorded.keys.tolist()}
    drawn = [{tuple(key) for key in stream.keys.tolist()} for stream in (few, other)]
    assert all(keys <= rows for keys in drawn)
    assert drawn[0] != drawn[1]
    assert drawn[0] != {tuple(key) for key in recorded.keys[:10].tolist()}, "expected a sample of the facts"
    noisy = recorded.stream(W, StreamSpec(10, seed=1, noise=0.2))
    moved = (noisy.other_keys(0, 10) - noisy.keys).norm(dim=1) / noisy.keys.norm(dim=1)
    torch.testing.assert_close(moved, torch.full((10,), 0.2))
    assert noisy.digest != few.digest


def test_gaussian_keys_like_recorded_ones() -> None:
    recorded = a_recording()
    stream = recorded.gaussian_stream(W, StreamSpec(20_000, seed=1))
    assert (len(stream), len(stream.preserved), stream.noise) == (20_000, PRESERVED, 0.1)
    found = (stream.keys.T @ stream.keys).double() / len(stream)
    assert float((found - recorded.second_moment).norm() / recorded.second_moment.norm()) < 0.05


def test_a_single_edit_has_another_fact_to_take_its_value_from() -> None:
    one = StreamSpec(1)
    streams = (
        a_recording().stream(W, one),
        a_recording().gaussian_stream(W, one),
        under_synthetic_keys(W, SyntheticKeys(), one)[1],
    )
    for stream in streams:
        assert (len(stream), len(stream.values)) == (1, 2)


def test_one_of_many_records_the_keys(folder: Path) -> None:
    """The others wait, and find them."""
    made: list[int] = []

    def record() -> dict[str, torch.Tensor]:
        made.append(len(made))
        sleep(0.2)
        parts = ("keys", "paraphrases", "preserved", "second_moment")
        return {"samples": torch.tensor(5)} | {name: torch.eye(3) + 0 for name in parts}

    with ThreadPoolExecutor(3) as pool:
        found = list(
            pool.map(lambda _: recorded_once(folder / "keys", "made", NOTHING, ["x"], record), range(3))
        )
    assert made == [0]
    assert all(torch.equal(recorded.keys, torch.eye(3)) for recorded in found)
    recorded_once(folder / "keys", "made", NOTHING, ["y"], record)
    assert made == [0, 1], "expected another recording for what depends on something else"


BAD = {
    "edits": (StreamSpec(0), "edits: expected an integer ≥ 1, got 0"),
    "order": (
        StreamSpec(4, "best"),
        "order: expected one of 'random', 'clustered', 'similarity', got 'best'",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_use(name: str) -> None:
    spec, message = BAD[name]
    check_refused(lambda: a_recording().stream(W, spec), RangeError, message)
