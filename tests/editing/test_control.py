"""Controls of SPHERE: what each keeps of an update, and what it shares with SPHERE."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphere_theory import (
    Control,
    EditBatch,
    FineTune,
    LayerMemory,
    LowRankUpdate,
    Memit,
    MemitSequential,
    Prune,
    Sphere,
    bottom_space,
    principal_space,
    strategies,
)
from sphere_theory.editing.control import KINDS
from sphere_theory.editing.editor import Editor
from sphere_theory.errors import RangeError
from sphere_theory.projection import edit_norm

N, D = 6, 10
rng = np.random.default_rng(0)
W = rng.normal(size=(N, D))
SAMPLES = rng.normal(size=(D, 50))
C0 = SAMPLES @ SAMPLES.T / 50
BATCHES = [EditBatch(rng.normal(size=(D, 2)), 3 * rng.normal(size=(N, 2))) for _ in range(4)]

kinds = pytest.mark.parametrize("kind", KINDS)
editors = pytest.mark.parametrize("editor", [MemitSequential(2.0), Prune(Memit(0.1)), FineTune()], ids=repr)


def dense(update: LowRankUpdate | np.ndarray) -> np.ndarray:
    return update.dense() if isinstance(update, LowRankUpdate) else update


def streamed(editor: Editor, weight: np.ndarray = W) -> LayerMemory:
    memory = LayerMemory(weight, C0)
    for batch in BATCHES:
        memory = editor.apply(memory, batch)
    return memory


def basis(kind: str, **settings: float) -> np.ndarray:
    return streamed(Control(Memit(2.0), kind, **settings)).state["control.basis"].numpy()


@editors
@pytest.mark.parametrize("alpha", [0.3, 1.0, 1.6])
def test_shrinkage_has_spheres_norm_and_the_editors_direction(editor: Editor, alpha: float) -> None:
    """In every batch, and not only in the first."""
    memory, control = LayerMemory(W, C0), Control(editor, "shrink", alpha=alpha)
    for batch in BATCHES:
        solvers = (editor, Sphere(editor, alpha=alpha), control)
        plain, sphere, got = (naive.plain(dense(x.solve(memory, batch).update)) for x in solvers)
        naive.check_close(edit_norm(got), edit_norm(sphere), 1e-12)
        naive.check_close(got / edit_norm(got), plain / edit_norm(plain), 1e-12, 1.0)
        memory = control.apply(memory, batch)


@editors
@pytest.mark.parametrize("kind", ["random", "bottom"])
def test_a_subspace_of_spheres_rank_is_suppressed(editor: Editor, kind: str) -> None:
    memory = LayerMemory(W, C0)
    plain = dense(editor.update(memory, BATCHES[0]))
    control = Control(editor, kind, eta=0.6, alpha=0.7)
    step = control.solve(memory, BATCHES[0])
    U = step.state["control.basis"].numpy()
    assert U.shape == principal_space(W, eta=0.6).basis.shape
    naive.check_close(U.T @ U, np.eye(U.shape[1]), 1e-12, 1.0)
    got = dense(control.update(memory, BATCHES[0]))
    naive.check_close(got @ U, 0.3 * plain @ U, 1e-12, 1.0)
    off = np.eye(D) - U @ U.T
    naive.check_close(got @ off, plain @ off, 1e-12, 1.0)


def test_which_subspace() -> None:
    principal = principal_space(W).basis
    assert naive.sine(basis("shrink"), principal) < 1e-12
    assert naive.sine(basis("bottom"), bottom_space(W, principal.shape[1]).basis) < 1e-12
    assert np.abs(basis("bottom", eta=0.3).T @ principal_space(W, eta=0.3).basis).max() < 1e-12
    assert (basis("random", seed=3) == basis("random", seed=3)).all()
    assert naive.sine(basis("random", seed=3), basis("random", seed=4)) > 0.1


@kinds
@given(seed=st.integers(0, 999), batch=strategies.batches(N, D, b=st.integers(1, 4)))
def test_of_the_rank_of_the_editors_update_and_no_larger(kind: str, seed: int, batch: EditBatch) -> None:
    memory = LayerMemory(np.random.default_rng(seed).normal(size=(N, D)), C0)
    editor = Memit(2.0)
    plain, got = (
        editor.update(memory, batch),
        Control(editor, kind, alpha=1.3, seed=seed).update(memory, batch),
    )
    assert isinstance(got, LowRankUpdate)
    assert got.rank == plain.rank
    assert got.norm() <= plain.norm() * (1 + 1e-12)


@kinds
def test_no_suppression_changes_nothing(kind: str) -> None:
    plain = streamed(MemitSequential(2.0)).weight
    naive.check_close(streamed(Control(MemitSequential(2.0), kind, alpha=0.0)).weight, plain, 1e-12, 1.0)


@kinds
def test_nothing_to_change_stays_nothing(kind: str) -> None:
    """Values that the layer gives already."""
    keys = BATCHES[0].keys
    got = Control(Memit(2.0), kind, alpha=1.0).update(LayerMemory(W, C0), EditBatch(keys, W @ keys))
    assert np.abs(got.dense()).max() < 1e-13
    zero = Control(FineTune(), kind).update(LayerMemory(W, C0), EditBatch(0 * keys, 0 * W @ keys))
    assert (zero == 0).all()


@kinds
def test_the_basis_is_that_of_the_pretrained_weights(kind: str, monkeypatch) -> None:
    calls = []
    real = principal_space
    monkeypatch.setattr(
        "sphere_theory.editing.control.principal_space", lambda *x, **y: calls.append(1) or real(*x, **y)
    )
    later = streamed(Control(Memit(0.1), kind))
    assert len(calls) == 1
    anew = LayerMemory(later.weight, C0, pretrained=W)
    state = Control(Memit(0.1), kind).solve(anew, BATCHES[0]).state
    assert torch.equal(state["control.basis"], later.state["control.basis"])


def test_controls_differ_from_sphere_and_from_each_other() -> None:
    ends = [streamed(Control(MemitSequential(2.0), kind)).weight for kind in KINDS]
    ends += [streamed(Sphere(MemitSequential(2.0))).weight, streamed(MemitSequential(2.0)).weight]
    gaps = [np.linalg.norm(one - other) for k, one in enumerate(ends) for other in ends[:k]]
    assert min(gaps) > 1e-2


@pytest.mark.parametrize("inner", [Sphere(), Control()], ids=lambda editor: editor.name)
def test_what_is_projected_already_is_refused(inner: Editor) -> None:
    message = f"editor: expected an editor that is not projected yet, got a {type(inner).__name__}"
    naive.check_refused(lambda: Control(inner), RangeError, message)
