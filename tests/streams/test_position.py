"""A position and the checkpoint of it hold the same bits; a layer that was edited begins no run."""

from __future__ import annotations

import pytest
import torch
from small_layer import EDITOR, small_host

from sphere_theory.editing.problem import LayerMemory
from sphere_theory.errors import RangeError
from sphere_theory.gram import GramTracker
from sphere_theory.streams.position import WEIGHT, Position, is_final, unedited


def beginning() -> Position:
    memory = unedited(small_host()[0])
    return Position(memory, GramTracker(memory.W))


def later(here: Position) -> Position:
    """After two batches, the tracker kept current."""
    stream, memory = small_host()[1], here.memory
    for start in (0, 6):
        step = EDITOR.solve(memory, stream.batch(start, start + 6))
        memory = memory.after(step, 6)
        here.tracker.update(*step.update.factors(), weight=memory.W)
    return Position(memory, here.tracker, 0.1 + 0.2, 2)


def test_a_position_comes_back_from_its_tensors_to_the_bit() -> None:
    here = later(beginning())
    kept = {name: tensor.clone() for name, tensor in here.tensors().items()}
    assert not is_final(kept)
    back = beginning().restored(2, kept)
    assert (back.path_bound, back.batches, back.memory.edits) == (0.1 + 0.2, 2, 12)
    assert torch.equal(back.memory.W0, here.memory.W0)
    assert sorted(back.memory.state) == sorted(here.memory.state)
    found = back.tensors()
    assert found.keys() == kept.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in kept.items())


def test_of_the_end_the_weights_alone_are_kept() -> None:
    here = later(beginning())
    kept = here.final_tensors()
    assert is_final(kept)
    assert list(kept) == [WEIGHT]
    assert torch.equal(kept[WEIGHT], here.memory.W)


def test_a_run_begins_with_the_layer_by_rows() -> None:
    memory = small_host()[0]
    found = unedited(LayerMemory(memory.W.T.contiguous().T, memory.second_moment))
    assert found.W.is_contiguous()
    assert torch.equal(found.W, memory.W)
    assert found.weight is found.pretrained


def test_a_layer_that_was_edited_begins_no_run() -> None:
    memory, stream = small_host()
    edited = EDITOR.apply(memory, stream.batch(0, 6))
    bad = (
        edited,
        LayerMemory(edited.W, pretrained=memory.W),
        LayerMemory(memory.W, edits=3),
        LayerMemory(memory.W, state={"past": memory.W}),
    )
    for layer in bad:
        with pytest.raises(RangeError, match="memory: expected a layer before any edit"):
            unedited(layer)
