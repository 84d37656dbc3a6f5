"""Rows about weight matrices: in order, and with a note where a number is missing."""

from __future__ import annotations

import torch

from sphere_theory.experiments.layers import describe_layer, describe_layers
from sphere_theory.models.weights import open_checkpoint


def test_a_matrix_without_a_number_gets_a_note():
    row = describe_layer("dead", torch.zeros(3, 4))
    assert "no zero row" in row.note
    assert row.uniformity is None


def test_layers_are_read_in_order_and_progress_reaches_the_end():
    torch.manual_seed(0)
    state = {"a": torch.randn(700, 5), "b": torch.randn(4, 5).int(), "c": torch.randn(6, 5)}
    seen: list[float] = []
    rows = list(describe_layers(open_checkpoint(state), ["a", "b", "c"], progress=seen.append))
    assert [row.tensor for row in rows] == ["a", "b", "c"]
    assert "int32" in rows[1].note
    assert seen == sorted(seen)
    assert seen[-1] == 3


def test_a_model_is_described_by_its_name_or_by_what_it_is():
    module = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.ReLU(), torch.nn.Linear(7, 3))
    (first, second) = describe_layers(module)
    assert [(row.tensor, row.n, row.d) for row in (first, second)] == [("0.weight", 7, 5), ("2.weight", 3, 7)]
    (only,) = describe_layers(module.state_dict(), "2.*")
    assert only.uniformity == second.uniformity
