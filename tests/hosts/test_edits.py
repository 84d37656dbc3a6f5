"""Streams of edits: permutations of facts, other facts' values, and what tells two streams apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from naive import check_refused

from sphere_theory.errors import DTypeError, NonFiniteError, RangeError, ShapeError
from sphere_theory.hosts.edits import ORDERS, EditStream, make_stream
from sphere_theory.hosts.keys import SyntheticKeys
from sphere_theory.hosts.synthetic import random_weight

N, D = 5, 8
W = random_weight(N, D, seed=0)


def a_stream(
    facts: int = 20, edits: int | None = None, *, seed: int = 0, dtype: torch.dtype = torch.float32, **knobs
) -> EditStream:
    keys = SyntheticKeys(seed=3).draw(facts + 4, D).to(dtype)
    record = {"source": "here"}
    return make_stream(
        W.to(dtype), keys[:facts], keys[facts:], edits=edits, seed=seed, record=record, **knobs
    )


def keys_of_facts(facts: int) -> torch.Tensor:
    return SyntheticKeys(seed=3).draw(facts + 4, D)[:facts]


@given(
    st.integers(2, 30), st.integers(1, 100), st.sampled_from(ORDERS), st.integers(0, 2**63 - 1), st.booleans()
)
def test_every_round_edits_every_fact_towards_another_value(
    facts: int, edits: int, order: str, seed: int, double: bool
) -> None:
    stream = a_stream(facts, edits, order=order, seed=seed, dtype=torch.float64 if double else torch.float32)
    assert len(stream) == len(stream.facts) == len(stream.targets) == edits
    assert (stream.facts != stream.targets).all()
    last: dict[int, int] = {}
    for start in range(0, edits, facts):
        here = stream.facts[start : start + facts].tolist()
        assert sorted(set(here)) == sorted(here)
        if len(here) == facts:
            assert sorted(stream.targets[start : start + facts].tolist()) == list(range(facts))
        for fact, target in zip(here, stream.targets[start:].tolist(), strict=False):
            assert facts == 2 or last.get(fact) != target, (
                "expected a later edit to contradict the one before"
            )
            last[fact] = target
    assert torch.equal(stream.keys, keys_of_facts(facts).to(stream.keys)[stream.facts])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_are_those_of_the_layer_before_any_edit(dtype: torch.dtype) -> None:
    stream = a_stream(dtype=dtype)
    assert stream.values.dtype == stream.keys.dtype == stream.other_keys(0, 3).dtype == dtype
    expected = keys_of_facts(20).double() @ W.double().T
    torch.testing.assert_close(stream.values.double(), expected, rtol=1e-5, atol=1e-6)
    batch = stream.batch(3, 7)
    assert (batch.keys.shape, batch.values.shape) == ((D, 4), (N, 4))
    assert torch.equal(batch.keys, stream.keys[3:7].T)
    for place in range(4):
        assert torch.equal(batch.values[:, place], stream.values[stream.targets[3 + place]])


def test_a_stream_elsewhere_keeps_the_narrower_keys_and_widens_what_it_hands_out() -> None:
    narrow, wide = a_stream(dtype=torch.float32), a_stream(dtype=torch.float64)
    moved = narrow.to("cpu", torch.float64)
    assert moved.keys is narrow.keys, "expected no float64 copy of the keys"
    assert moved.values.dtype == moved.preserved.dtype == moved.batch(0, 2).keys.dtype == torch.float64
    assert moved.own_keys(2, 5).dtype == moved.other_keys(2, 5).dtype == torch.float64
    assert moved.to("cpu", torch.float64) is moved
    shrunk = wide.to("cpu", torch.float32)
    for name in ("keys", "values", "preserved", "paraphrases"):
        assert getattr(shrunk, name).dtype == torch.float32, name


def test_similarity_falls_along_the_stream() -> None:
    stream = a_stream(60, order="similarity")
    units = stream.keys / stream.keys.norm(dim=1, keepdim=True)
    cosines = units @ units[0]
    assert cosines[0] == cosines.max()
    assert (cosines.diff() <= 1e-6).all()


def test_clustered_order_puts_similar_keys_together() -> None:
    """The mean cosine of neighbours is well above that of a random order."""

    def neighbours(order: str) -> float:
        stream = a_stream(400, order=order)
        units = stream.keys / stream.keys.norm(dim=1, keepdim=True)
        return float((units[1:] * units[:-1]).sum(dim=1).mean())

    assert neighbours("random") < 0.1
    assert neighbours("clustered") > 0.4


@pytest.mark.parametrize("order", ORDERS)
def test_a_seed_gives_the_same_stream_again_and_another_another(order: str) -> None:
    first, again, other = (a_stream(order=order, seed=seed) for seed in (1, 1, 2))
    for name in ("keys", "facts", "targets", "values", "preserved", "paraphrases"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert first.digest == again.digest != other.digest
    assert not torch.equal(first.facts, other.facts)
    assert not torch.equal(first.paraphrases, other.paraphrases)


def test_in_force_are_the_last_edits_of_each_fact() -> None:
    stream = a_stream(7, 20)
    for done in (1, 6, 7, 8, 13, 20):
        last = {fact: place for place, fact in enumerate(stream.facts[:done].tolist())}
        assert stream.in_force(done).tolist() == sorted(last.values())


def test_noise_has_its_stated_size_and_recorded_paraphrases_follow_their_facts() -> None:
    noisy = a_stream(600, noise=0.25)
    for start, stop in ((0, 5), (510, 520), (590, 700)):
        keys = noisy.keys[start:stop]
        moved = (noisy.other_keys(start, stop) - keys).norm(dim=1) / keys.norm(dim=1)
        torch.testing.assert_close(moved, torch.full_like(moved, 0.25))
    assert torch.equal(noisy.other_keys(0, 600)[515:518], noisy.other_keys(515, 518))
    others = -keys_of_facts(20)
    recorded = a_stream(20, 30, paraphrases=others)
    assert recorded.noise == 0
    assert torch.equal(recorded.other_keys(0, 30), others[recorded.facts])


CHANGES: dict[str, Callable[[EditStream], EditStream]] = {
    "record": lambda s: replace(s, record=dict(s.record) | {"more": 1}),
    "noise": lambda s: replace(s, noise=0.2),
    "keys": lambda s: replace(s, keys=s.keys + torch.eye(20, D) * 1e-6),
    "facts": lambda s: replace(s, facts=s.facts.flip(0)),
    "targets": lambda s: replace(s, targets=s.targets.flip(0)),
    "values": lambda s: replace(s, values=s.values.flip(0)),
    "preserved": lambda s: replace(s, preserved=s.preserved[1:]),
    "paraphrases": lambda s: replace(s, paraphrases=s.paraphrases[1:]),
    "dtype": lambda s: s.to("cpu", torch.float64),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_digest_tells_any_change(name: str) -> None:
    stream = a_stream()
    assert CHANGES[name](stream).digest != stream.digest


def test_a_stream_that_stays_where_it_is_is_the_same() -> None:
    stream = a_stream()
    assert stream.to("cpu", stream.keys.dtype) is stream
    moved = replace(stream, values=stream.values.double()).to("cpu", stream.keys.dtype)
    assert torch.equal(moved.values, stream.values)


def test_the_digest_is_of_numbers_not_of_their_layout() -> None:
    stream = a_stream()
    assert replace(stream, keys=stream.keys.T.contiguous().T).digest == stream.digest


# --- synthetic keys --------------------------------------------------------------------------------


# --- wrong use -------------------------------------------------------------------------------------


GOOD = torch.ones(3, D) + torch.eye(3, D)
BAD_STREAMS = {
    "one fact": (
        lambda: made(keys=GOOD[:1]),
        ShapeError,
        "keys: expected at least two facts, to exchange values, got 1",
    ),
    "keys too short": (
        lambda: made(keys=GOOD[:, 1:]),
        ShapeError,
        "keys: expected shape (any, 8), got shape (3, 7)",
    ),
    "NaN": (
        lambda: made(keys=GOOD * math.nan),
        NonFiniteError,
        "keys: expected finite numbers, got 24 of 24 entries NaN or infinite (first at (0, 0): nan)",
    ),
    "preserved": (
        lambda: made(preserved=GOOD[:, 1:]),
        ShapeError,
        "preserved: expected shape (any, 8), got shape (3, 7)",
    ),
    "paraphrases": (
        lambda: made(paraphrases=GOOD[1:]),
        ShapeError,
        "paraphrases: expected shape (3, 8), got shape (2, 8)",
    ),
    "a list": (
        lambda: made(keys=[[1.0]]),
        DTypeError,
        "keys: expected a numpy array or torch tensor of dtype float16, bfloat16, float32 or float64, "
        "got builtins.list",
    ),
    "order": (
        lambda: made(order="sorted"),
        RangeError,
        "order: expected one of 'random', 'clustered', 'similarity', got 'sorted'",
    ),
    "edits": (lambda: made(edits=0), RangeError, "edits: expected an integer ≥ 1, got 0"),
    "seed": (lambda: made(seed=-1), RangeError, f"seed: expected an integer ≥ 0 and ≤ {2**63 - 1}, got -1"),
    "noise": (lambda: made(noise=0.0), RangeError, "noise: expected a number in (0, ∞), got 0.0"),
}


def made(**changes: object) -> EditStream:
    arguments = {"keys": GOOD, "preserved": GOOD, "record": {}} | changes
    return make_stream(W, **arguments)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", BAD_STREAMS)
def test_wrong_use(name: str) -> None:
    check_refused(*BAD_STREAMS[name])
