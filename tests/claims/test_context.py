"""What evidence runs with: a budget, and a layer whose computations are shared."""

from __future__ import annotations

import pytest
import torch
from naive import needs_minilm

from sphere_theory.claims import Context
from sphere_theory.claims import context as module
from sphere_theory.hosts.minilm import MiniLM


def test_what_claims_share_is_computed_once():
    calls: list[int] = []
    context = Context()
    for _ in range(2):
        assert context.once("a", lambda: calls.append(1)) is None
    assert calls == [1]
    assert Context().once("a", lambda: 2) == 2


def test_the_quick_budget_is_a_part_of_the_whole() -> None:
    quick, whole = Context(quick=True), Context()
    assert quick.examples < whole.examples
    assert quick.layers == quick.audited == (quick.middle,)
    assert whole.layers == tuple(host.layer for host in MiniLM.layers())
    assert set(quick.layers) < set(whole.audited) < set(whole.layers)
    assert {whole.layers[0], whole.middle, whole.layers[-1]} == set(whole.audited)


def test_keys_are_computed_once_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Found:
        matrix = torch.ones(2, 3)

    asked: list[str] = []
    monkeypatch.setattr(module, "minilm_keys", lambda device: asked.append(device) or {1: Found, 2: Found})
    said: list[str] = []
    context = Context(device="cpu", report=said.append)
    assert torch.equal(context.keys(1), Found.matrix)
    assert torch.equal(context.keys(2), Found.matrix)
    assert asked == ["cpu"]
    assert said == ["running MiniLM on the embedded sentences"]


@needs_minilm
def test_weights_are_those_of_the_host() -> None:
    assert torch.equal(Context().weight(2), MiniLM(2).weight())
