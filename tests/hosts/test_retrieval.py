"""Retrieval: the nearest candidate, in blocks as at once, among candidates that a seed draws.

Its columns along a stream are held against a literal computation in `test_measures`.
"""

from __future__ import annotations

import pytest
import torch
from small_layer import small_host

from sphere_theory.hosts.retrieval import Candidates


def test_many_outputs_are_compared_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.randn((40, 6), generator=torch.Generator().manual_seed(0))
    outputs = values + 0.8 * torch.randn((40, 6), generator=torch.Generator().manual_seed(1))
    candidates, labels = Candidates(values, torch.arange(40)), torch.arange(40)
    whole = candidates.found(outputs, values, labels)
    assert 5 < whole.sum() < 35
    monkeypatch.setattr("sphere_theory.hosts.retrieval._BLOCK", 7)
    assert torch.equal(candidates.found(outputs, values, labels), whole)
    assert whole.tolist() == [bool(torch.cdist(y[None], values).argmin() == i) for i, y in enumerate(outputs)]


def test_fewer_candidates_are_easier_and_are_the_same_for_the_same_seed() -> None:
    memory, stream = small_host(60)
    few, again, other = (
        stream.judge(memory.W, candidates=9, preserved_candidates=20, seed=seed).candidates
        for seed in (1, 1, 2)
    )
    assert len(few.labels) == len(set(few.labels.tolist())) == 9
    assert torch.equal(few.labels, again.labels)
    assert not torch.equal(few.labels, other.labels)
    assert torch.equal(few.values, stream.values[few.labels])
    assert len(stream.judge(memory.W, candidates=50, preserved_candidates=20, seed=0).candidates.labels) == 50


def test_a_value_that_is_wanted_is_no_rival_of_itself() -> None:
    values = torch.tensor([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]])
    candidates = Candidates(values, torch.tensor([0, 1, 2]))
    outputs = torch.tensor([[0.1, 0.0], [0.6, 0.0], [0.6, 0.0], [0.0, 9.0]])
    labels = torch.tensor([0, 1, 0, 7])
    wanted = torch.stack([values[0], values[1], values[0], torch.tensor([0.0, 9.0])])
    assert candidates.found(outputs, wanted, labels).tolist() == [True, True, False, True]
    # As near to a rival as to what is wanted: not found.
    middle = torch.tensor([[0.5, 0.0]])
    assert candidates.found(middle, values[:1], torch.tensor([0])).tolist() == [False]
