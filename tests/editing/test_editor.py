"""What all editors have in common: the same kind out, nothing written to, state that goes on to the bit."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import naive
import numpy as np
import pytest
import torch

from sphere_theory import LowRankUpdate, Memit, MemitSequential, Sphere
from sphere_theory.editing.editor import Editor, hyperparameters
from sphere_theory.editing.problem import EditBatch, LayerMemory
from sphere_theory.editing.registry import EDITORS, editor_of, find_editor
from sphere_theory.errors import RangeError

N, D, B = 6, 9, 2
rng = np.random.default_rng(0)
W = rng.normal(size=(N, D))
KEYS = rng.normal(size=(D, 40))
C0 = KEYS @ KEYS.T / 40
BATCHES = [EditBatch(rng.normal(size=(D, B)), rng.normal(size=(N, B))) for _ in range(3)]

# Editors whose defaults mean nothing at this size are given others.
SIZED = {"alphaedit": {"threshold": 1.5}, "evoedit": {"threshold": 1.5}, "revive": {"rank": 2}}


def every_editor() -> list[Editor]:
    return [find_editor(name, **SIZED.get(name, {})) for name in EDITORS]


editors = pytest.mark.parametrize("editor", every_editor(), ids=lambda editor: editor.name)


@editors
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_kind_and_dtype_of_the_weights_come_back(editor: Editor, library: str, dtype: str) -> None:
    """Whatever those of C0 and of the batch are."""
    weight = W.astype(dtype)
    memory = LayerMemory(torch.from_numpy(weight) if library == "torch" else weight, torch.from_numpy(C0))
    batch = EditBatch(BATCHES[0].keys.astype(np.float32), torch.from_numpy(BATCHES[0].values))
    update = editor.update(memory, batch)
    for part in (update.left, update.right) if isinstance(update, LowRankUpdate) else (update,):
        naive.check_kind(part, memory.weight, dtype)
    after = editor.apply(memory, batch)
    naive.check_kind(after.weight, memory.weight, dtype)
    added = update.dense() if isinstance(update, LowRankUpdate) else update
    naive.check_close(naive.plain(after.weight), naive.plain(memory.weight) + naive.plain(added), 1e-6, 1.0)
    assert after.edits == B


@editors
def test_nothing_is_written_to(editor: Editor) -> None:
    arrays = [W, C0, BATCHES[0].keys, BATCHES[0].values]
    before = [array.copy() for array in arrays]
    memory = LayerMemory(W, C0)
    later = editor.apply(memory, BATCHES[0])
    state = {name: tensor.clone() for name, tensor in later.state.items()}
    editor.apply(later, BATCHES[1])
    assert all((array == copy).all() for array, copy in zip(arrays, before, strict=True))
    assert memory.state == {}
    assert all(torch.equal(later.state[name], tensor) for name, tensor in state.items())
    with pytest.raises(FrozenInstanceError):
        editor.name = "other"


@editors
def test_a_run_can_be_stored_and_taken_up(editor: Editor) -> None:
    """A layer made anew from its arrays and its state goes on as the old one does, to the bit."""
    memory = editor.apply(editor.apply(LayerMemory(W, C0), BATCHES[0]), BATCHES[1])
    state = {name: torch.from_numpy(tensor.numpy().copy()) for name, tensor in memory.state.items()}
    stored = LayerMemory(memory.weight.copy(), C0, pretrained=W, state=state, edits=memory.edits)
    again = editor_of(json.loads(json.dumps(editor.record())))
    one, other = editor.apply(memory, BATCHES[2]), again.apply(stored, BATCHES[2])
    assert (one.weight == other.weight).all()
    assert one.edits == other.edits == 3 * B
    assert sorted(one.state) == sorted(other.state)


@editors
def test_two_runs_share_nothing(editor: Editor) -> None:
    first = editor.apply(LayerMemory(W, C0), BATCHES[0]).weight
    editor.apply(editor.apply(LayerMemory(2 * W, C0 + np.eye(D)), BATCHES[1]), BATCHES[2])
    assert (editor.apply(LayerMemory(W, C0), BATCHES[0]).weight == first).all()


@editors
def test_what_wraps_keeps_the_state_of_what_it_wraps(editor: Editor) -> None:
    if "editor" not in hyperparameters(type(editor)):
        editor = Sphere(editor)
    inner = set(editor.editor.apply(LayerMemory(W, C0), BATCHES[0]).state)
    outer = set(editor.apply(LayerMemory(W, C0), BATCHES[0]).state)
    assert inner <= outer
    assert all(name.startswith(f"{editor.name}.") for name in outer - inner)


def test_plugins_nest() -> None:
    editor = Sphere(find_editor("prune", editor=find_editor("nas", editor=MemitSequential(2.0))))
    memory = LayerMemory(W, C0)
    for batch in BATCHES:
        memory = editor.apply(memory, batch)
    assert set(memory.state) == {
        *("inverse", "past", "factorisations"),
        *("nas.norm", "prune.limit", "sphere.basis"),
    }


def test_updates_that_are_low_rank_are_kept_so() -> None:
    for editor in (*every_editor(), *(Sphere(x) for x in every_editor() if x.name != "sphere")):
        update = editor.update(LayerMemory(W, C0), BATCHES[0])
        dense = {"rect", "ft", "mose", "mose-right"} & {editor.name, getattr(editor, "editor", editor).name}
        assert isinstance(update, np.ndarray if dense else LowRankUpdate), editor


@pytest.mark.parametrize("other", [Memit(ridge=2.0), MemitSequential(), Sphere(Memit())], ids=repr)
def test_no_editor_goes_on_from_the_state_of_another(other: Editor) -> None:
    """The inverse of one λ is not that of another, and nothing else would tell."""
    memory = Memit().apply(LayerMemory(W, C0), BATCHES[0])
    message = (
        f"memory: expected a layer that only {other} has edited (make a new LayerMemory of its weights), "
        "got state of Memit(ridge=15000.0, damping=0.0)"
    )
    for call in (other.apply, other.update):
        naive.check_refused(lambda call=call: call(memory, BATCHES[1]), RangeError, message)
    anew = LayerMemory(memory.weight, C0, pretrained=W)
    naive.check_close(other.apply(anew, BATCHES[1]).pretrained, W, 0)
    Memit().apply(memory, BATCHES[1])


@editors
def test_records_are_plain_and_come_back(editor: Editor) -> None:
    record = json.loads(json.dumps(editor.record()))
    assert record["name"] == editor.name
    assert editor_of(record) == editor


def test_a_record_says_every_policy() -> None:
    inner = {"name": "memit", "ridge": 15_000.0, "damping": 0.0}
    assert Sphere.released(Memit()).record() == {
        "name": "sphere",
        "editor": inner,
        "eta": 0.5,
        "alpha": 0.8,
        "basis": "current",
        "rows": "unit",
        "rank_rule": "released",
        "solve_on": "projected",
        "compensate": False,
    }


@pytest.mark.gpu
@editors
def test_a_step_on_a_gpu(editor: Editor, cuda) -> None:
    on = {"dtype": torch.float64, "device": cuda}
    here = editor.apply(editor.apply(LayerMemory(W, C0), BATCHES[0]), BATCHES[1])
    memory = LayerMemory(torch.tensor(W, **on), torch.tensor(C0, **on))
    for batch in BATCHES[:2]:
        memory = editor.apply(memory, EditBatch(torch.tensor(batch.keys), torch.tensor(batch.values)))
    assert memory.weight.device.type == "cuda"
    naive.check_close(naive.plain(memory.weight), here.weight, 1e-9, np.abs(here.weight).max())
