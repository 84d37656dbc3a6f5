"""Layers with streams of edits: recorded keys are what the model's layer was asked, once."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import pytest
import torch
from naive import check_refused, needs_minilm

from sphere_theory.errors import RangeError
from sphere_theory.models.activations import minilm_second_moment, minilm_subject_keys
from sphere_theory.models.datasets import Prompt, PromptSet
from sphere_theory.models.weights import load_layer
from sphere_theory.streams import hosts
from sphere_theory.streams.hosts import (
    PRESERVED,
    Recorded,
    like_recorded,
    minilm_weight,
    random_weight,
    record_minilm,
    synthetic_host,
)
from sphere_theory.streams.job import HostChoice, make_host
from sphere_theory.streams.sources import KINDS, Synthetic

PROMPTS = PromptSet(
    "few",
    (
        Prompt("The river through Lisbon is", "Lisbon", "Boats in Lisbon sail the"),
        Prompt("A heron eats", "heron", "The food of the heron is"),
        Prompt("Marie Curie worked in", "Marie Curie", "The field of Marie Curie was"),
    ),
    (("The capital of Norway is", "Norway"), ("Nothing happens here", "")),
    ("Some text to leave alone.", "And another one."),
)


@pytest.fixture(scope="module")
def recorded(shared_folder: Path) -> Recorded:
    return record_minilm(3, PROMPTS, shared_folder)


@needs_minilm
def test_recorded_keys_are_those_of_the_prompts(recorded: Recorded) -> None:
    prompts = PROMPTS.prompts
    for found, pairs in (
        (recorded.keys, [(p.text, p.subject) for p in prompts]),
        (recorded.paraphrases, [(p.paraphrase, p.subject) for p in prompts]),
        (recorded.preserved, list(PROMPTS.preserved)),
    ):
        assert torch.equal(found, minilm_subject_keys(3, pairs).T)
        assert found.dtype == torch.float32
    C0, samples = minilm_second_moment(3, PROMPTS.background)
    assert torch.equal(recorded.second_moment, C0)
    assert (recorded.samples, recorded.name) == (samples, "few")


@needs_minilm
def test_the_model_is_asked_once(
    recorded: Recorded, shared_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the model ran again")

    monkeypatch.setattr(hosts, "minilm_subject_keys", refuse)
    monkeypatch.setattr(hosts, "minilm_second_moment", refuse)
    again = record_minilm(3, PROMPTS, shared_folder)
    for name in ("keys", "paraphrases", "preserved", "second_moment"):
        assert torch.equal(getattr(again, name), getattr(recorded, name))
    assert again.samples == recorded.samples
    changed = PromptSet("few", PROMPTS.prompts, PROMPTS.preserved, PROMPTS.background[:1])
    for layer, prompts in ((2, PROMPTS), (3, changed)):
        with pytest.raises(AssertionError, match="the model ran again"):
            record_minilm(layer, prompts, shared_folder)


@needs_minilm
def test_a_damaged_recording_is_made_anew(recorded: Recorded, folder: Path) -> None:
    seen: list[str] = []
    record_minilm(3, PROMPTS, folder / "keys", report=lambda what, done, total: seen.append(what))
    assert set(seen) == {"second moment C0", "keys", "paraphrases", "preserved keys"}
    (path,) = (folder / "keys").glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    again = record_minilm(3, PROMPTS, folder / "keys")
    assert torch.equal(again.keys, recorded.keys)
    assert [found.name for found in (folder / "keys").glob("*.safetensors")] == [path.name]


def a_recording(d: int = 12, facts: int = 30) -> Recorded:
    keys = Synthetic(seed=1).draw(facts, d)
    moment = torch.diag(torch.linspace(0.5, 2, d, dtype=torch.float64))
    return Recorded("made", keys, -keys, keys[:4] + 1, moment, 99)


W = random_weight(6, 12, seed=0)


def test_a_stream_of_recorded_facts() -> None:
    recorded = a_recording()
    W64 = W.double()
    whole = recorded.stream(W64, edits=70, order="random", seed=1, noise=0.0)
    assert (len(whole), len(whole.values), whole.record["facts"]) == (70, 30, 30)
    assert whole.keys.dtype == torch.float32, "expected keys as they were recorded: half the memory"
    assert whole.batch(0, 3).keys.dtype == whole.preserved.dtype == whole.values.dtype == torch.float64
    assert torch.equal(whole.other_keys(0, 70), -whole.own_keys(0, 70)), (
        "expected the same facts' paraphrases"
    )
    few, other = (recorded.stream(W, edits=10, order="random", seed=seed, noise=0.0) for seed in (1, 2))
    assert (len(few), len(few.values)) == (10, 10)
    rows = {tuple(key) for key in recorded.keys.tolist()}
    drawn = [{tuple(key) for key in stream.keys.tolist()} for stream in (few, other)]
    assert all(keys <= rows for keys in drawn)
    assert drawn[0] != drawn[1]
    assert drawn[0] != {tuple(key) for key in recorded.keys[:10].tolist()}, "expected a sample of the facts"
    noisy = recorded.stream(W, edits=10, order="random", seed=1, noise=0.2)
    moved = (noisy.other_keys(0, 10) - noisy.keys).norm(dim=1) / noisy.keys.norm(dim=1)
    torch.testing.assert_close(moved, torch.full((10,), 0.2))
    assert noisy.digest != few.digest


def test_gaussian_keys_like_recorded_ones() -> None:
    recorded = a_recording()
    stream = like_recorded(W, recorded, edits=20_000, order="random", seed=1, noise=0.0)
    assert (len(stream), len(stream.preserved), stream.noise) == (20_000, PRESERVED, 0.1)
    found = (stream.keys.T @ stream.keys).double() / len(stream)
    assert float((found - recorded.second_moment).norm() / recorded.second_moment.norm()) < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_a_synthetic_host(kind: str) -> None:
    source = Synthetic(kind, seed=2)
    memory, stream = synthetic_host(W.double(), source, edits=40, order="similarity", seed=3, noise=0.3)
    assert torch.equal(memory.moment(), source.second_moment(12))
    assert torch.equal(memory.W, W.double())
    assert (len(stream), len(stream.preserved), stream.noise) == (40, PRESERVED, 0.3)
    record = {"source": kind, "kind": kind, "order": "similarity", "seed": 3, "noise": 0.3, "edits": 40}
    assert {name: stream.record[name] for name in record} == record
    drawn = {tuple(key) for key in source.draw(40 + PRESERVED, 12).double().tolist()}
    assert {tuple(key) for key in torch.cat([stream.keys, stream.preserved]).tolist()} == drawn


def test_no_more_orthonormal_edits_than_dimensions_are_one_orthonormal_set() -> None:
    _, stream = synthetic_host(W, Synthetic("orthonormal"), edits=12, order="random", seed=0, noise=0.0)
    keys = stream.keys / math.sqrt(12)
    torch.testing.assert_close(keys @ keys.T, torch.eye(12))


def test_a_single_edit_has_another_fact_to_take_its_value_from() -> None:
    knobs = {"edits": 1, "order": "random", "seed": 0, "noise": 0.0}
    streams = (
        a_recording().stream(W, **knobs),
        like_recorded(W, a_recording(), **knobs),
        synthetic_host(W, Synthetic(), **knobs)[1],
    )
    for stream in streams:
        assert (len(stream), len(stream.values)) == (1, 2)


@needs_minilm
def test_the_weight_of_minilm() -> None:
    found = minilm_weight(2)
    assert torch.equal(found, torch.as_tensor(load_layer("minilm", "encoder.layer.2.output.dense.weight")))
    assert (found.shape, found.dtype) == ((384, 1536), torch.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_neurons_of_a_synthetic_layer_are_not_its_keys(kind: str) -> None:
    choice = HostChoice("synthetic", shape=(64, 256), source=kind, spectrum="flat", edits=100)
    memory, stream = make_host(choice, Path(), lambda *told: None)
    units = torch.nn.functional.normalize
    cosines = units(memory.W) @ units(stream.keys.double()).T
    assert float(cosines.abs().max()) < 6 / math.sqrt(256)  # six standard deviations of chance


def test_random_weights() -> None:
    wide = random_weight(50, 2000, seed=1)
    assert wide.dtype == torch.float32
    assert torch.equal(wide, random_weight(50, 2000, seed=1))
    assert not torch.equal(wide, random_weight(50, 2000, seed=2))
    torch.testing.assert_close(wide.norm(dim=1), torch.ones(50), rtol=0.1, atol=0)


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "shape": (lambda: random_weight(1, 5, seed=0), "shape: expected at least 2×2, got 1×5"),
    "layer": (
        lambda: record_minilm(6, PROMPTS, Path("nowhere")),
        "layers: expected an integer ≥ 0 and ≤ 5, got 6",
    ),
    "edits": (
        lambda: a_recording().stream(W, edits=0, order="random", seed=0, noise=0.0),
        "edits: expected an integer ≥ 1, got 0",
    ),
    "order": (
        lambda: synthetic_host(W, Synthetic(), edits=4, order="best", seed=0, noise=0.0),
        "order: expected one of 'random', 'clustered', 'similarity', got 'best'",
    ),
    "noise": (
        lambda: synthetic_host(W, Synthetic(), edits=4, order="random", seed=0, noise=-1.0),
        "noise: expected a number in (0, ∞), got -1.0",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_use(name: str) -> None:
    call, message = BAD[name]
    check_refused(call, RangeError, message)
    assert not Path("nowhere").exists()


def test_one_of_many_records_the_keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others wait, and find them."""
    made: list[int] = []

    def record(layer: int, *_: object) -> dict[str, torch.Tensor]:
        made.append(layer)
        sleep(0.2)
        parts = ("keys", "paraphrases", "preserved", "second_moment")
        return {"samples": torch.tensor(5)} | {name: torch.eye(3) + 0 for name in parts}

    monkeypatch.setattr(hosts, "_record", record)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: record_minilm(2, PROMPTS, folder), range(3)))
    assert made == [2]
    assert all(torch.equal(recorded.keys, torch.eye(3)) for recorded in found)
