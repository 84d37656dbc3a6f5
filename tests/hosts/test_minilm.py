"""Layers of the embedded model: what they were asked, once, and the streams that are made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from naive import check_refused, needs_minilm

from sphere_theory.editing.memit import Memit
from sphere_theory.errors import RangeError
from sphere_theory.hosts import minilm as hosts
from sphere_theory.hosts.base import StreamSpec
from sphere_theory.hosts.keys import SyntheticKeys
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.hosts.recorded import Recorded
from sphere_theory.models import minilm_keys
from sphere_theory.models.datasets import Prompt, PromptSet
from sphere_theory.models.minilm_keys import minilm_second_moment, minilm_subject_keys
from sphere_theory.models.weights import load_layer
from sphere_theory.streams.entries import run_id
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.naming import run_config

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


def record(layer: int, prompts: PromptSet, folder: Path, **how: Any) -> Recorded:
    with mock.patch.object(hosts, "packaged_prompts", return_value=prompts):
        return MiniLM(layer).recorded(folder, **how)


@pytest.fixture(scope="module")
def recorded(shared_folder: Path) -> Recorded:
    return record(3, PROMPTS, shared_folder)


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

    monkeypatch.setattr(minilm_keys, "minilm_subject_keys", refuse)
    monkeypatch.setattr(minilm_keys, "minilm_second_moment", refuse)
    again = record(3, PROMPTS, shared_folder)
    for name in ("keys", "paraphrases", "preserved", "second_moment"):
        assert torch.equal(getattr(again, name), getattr(recorded, name))
    assert again.samples == recorded.samples
    changed = PromptSet("few", PROMPTS.prompts, PROMPTS.preserved, PROMPTS.background[:1])
    for layer, prompts in ((2, PROMPTS), (3, changed)):
        with pytest.raises(AssertionError, match="the model ran again"):
            record(layer, prompts, shared_folder)


@needs_minilm
def test_a_damaged_recording_is_made_anew(recorded: Recorded, folder: Path) -> None:
    seen: list[str] = []
    record(3, PROMPTS, folder / "keys", report=lambda what, done, total: seen.append(what))
    assert set(seen) == {"second moment C0", "keys", "paraphrases", "preserved keys"}
    (path,) = (folder / "keys").glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    again = record(3, PROMPTS, folder / "keys")
    assert torch.equal(again.keys, recorded.keys)
    assert [found.name for found in (folder / "keys").glob("*.safetensors")] == [path.name]


@needs_minilm
def test_the_weight() -> None:
    found = MiniLM(2).weight()
    assert torch.equal(found, torch.as_tensor(load_layer("minilm", "encoder.layer.2.output.dense.weight")))
    assert (found.shape, found.dtype) == (MiniLM().shape, torch.float32)


def test_recorded_and_gaussian_keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = SyntheticKeys().draw(30, 12)
    recorded = Recorded("made", keys, keys, keys[:3], torch.eye(12, dtype=torch.float64), 77)
    asked: list[object] = []

    def record(host: MiniLM, place: Path, **how: object) -> Recorded:
        asked.append((host.layer, place))
        return recorded

    def weight(host: MiniLM, seed: int = 0) -> torch.Tensor:
        return torch.ones(5, 12) + torch.eye(5, 12) * host.layer

    monkeypatch.setattr(MiniLM, "recorded", record)
    monkeypatch.setattr(MiniLM, "weight", weight)
    memory, stream = MiniLM(2).make(StreamSpec(8), folder)
    assert asked == [(2, folder)]
    assert (memory.samples, memory.W[0, 0], len(stream)) == (77, 3, 8)
    assert torch.equal(memory.moment(), recorded.second_moment)
    assert stream.record["source"] == "recorded"
    _, gaussian = MiniLM(source="gaussian").make(StreamSpec(8), folder)
    assert gaussian.record["source"] == "gaussian"
    assert gaussian.record["second_moment"] == "made"
    memory, clustered = MiniLM(source="clustered").make(StreamSpec(8), folder)
    assert (clustered.record["source"], memory.samples, len(asked)) == ("clustered", None, 2)
    assert [one.record["weights"] for one in (stream, gaussian, clustered)] == [
        "MiniLM layer 2",
        "MiniLM layer 3",
        "MiniLM layer 3",
    ]


def test_layers_with_the_same_numbers_are_two_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MiniLM, "weight", lambda host, seed: torch.eye(5, 12))
    hosts = [MiniLM(layer, "clustered") for layer in (1, 1, 4)]
    made = [host.make(StreamSpec(8), folder) for host in hosts]
    assert all(torch.equal(stream.keys, made[0][1].keys) for _, stream in made)
    names = [run_id(run_config(memory, Memit(), stream, Measures(), batch=4)) for memory, stream in made]
    assert names[0] == names[1] != names[2]


def test_in_words() -> None:
    assert str(MiniLM()) == "minilm layer 3, recorded keys"
    assert MiniLM(5).label == "MiniLM layer 5"
    assert [host.layer for host in MiniLM.layers()] == [0, 1, 2, 3, 4, 5]
    assert MiniLM(data=Path("facts.json")).record()["data"] == "facts.json"


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "layer": (lambda: MiniLM(6), "layer: expected an integer ≥ 0 and ≤ 5, got 6"),
    "source": (
        lambda: MiniLM(source="books"),
        "source: expected one of 'recorded', 'gaussian', 'orthonormal', 'clustered', got 'books'",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_use(name: str) -> None:
    call, message = BAD[name]
    check_refused(call, RangeError, message)
