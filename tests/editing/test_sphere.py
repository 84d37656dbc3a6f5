"""The plug-in: its policies, its place around any editor, and what compensation restores (ledger M1, M2)."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphere_theory import (
    AlphaEdit,
    EditBatch,
    Encore,
    FineTune,
    LayerMemory,
    Memit,
    MemitSequential,
    Prune,
    Rect,
    RlsEdit,
    Rome,
    SparseProjector,
    Sphere,
    principal_space,
    strategies,
)
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.problem import Step
from sphere_theory.errors import RangeError

N, D = 6, 10
rng = np.random.default_rng(0)
W = rng.normal(size=(N, D))
SAMPLES = rng.normal(size=(D, 50))
C0 = SAMPLES @ SAMPLES.T / 50
BATCHES = [EditBatch(rng.normal(size=(D, 2)), 3 * rng.normal(size=(N, 2))) for _ in range(4)]
ONCE = EditBatch(np.hstack([x.keys for x in BATCHES]), np.hstack([x.values for x in BATCHES]))
REMEMBERING = [MemitSequential(2.0), Encore(2.0, 0.5), RlsEdit(2.0, 0.5)]


def streamed(editor: Editor, batches=BATCHES) -> LayerMemory:
    memory = LayerMemory(W, C0)
    for batch in batches:
        memory = editor.apply(memory, batch)
    return memory


def gap(one: np.ndarray, other: np.ndarray) -> float:
    """Relative to what editing has added."""
    return float(np.linalg.norm(one - other) / np.linalg.norm(other - W))


# --- policies -----------------------------------------------------------------------------------


def test_the_papers_settings() -> None:
    for editor, alpha in (
        (Memit(), 0.8),
        (Rect(), 0.8),
        (Prune(), 0.8),
        (FineTune(), 0.8),
        (AlphaEdit(), 0.5),
    ):
        assert Sphere.paper(editor) == Sphere(editor, 0.5, alpha, "pretrained", "raw", "paper")
    assert Sphere.paper(AlphaEdit(), eta=0.7, alpha=1.0) == Sphere(AlphaEdit(), 0.7, 1.0)


def test_the_released_settings() -> None:
    assert Sphere.released(AlphaEdit()) == Sphere(AlphaEdit(), 0.5, 0.5, "current", "unit", "released")
    assert Sphere.released(Prune()) == Sphere(Prune(), 0.5, 0.8, "pretrained", "unit", "released")


@pytest.mark.parametrize("editor", [Memit(2.0), Rome(), Rect(Memit(2.0)), FineTune()], ids=repr)
def test_each_update_is_projected_once(editor: Editor) -> None:
    memory = LayerMemory(W, C0)
    projector = SparseProjector(principal_space(W), 0.8)
    expected = projector(editor.update(memory, BATCHES[0]))
    update = Sphere(editor).update(memory, BATCHES[0])
    assert type(update) is type(expected)
    dense = [x if isinstance(x, np.ndarray) else x.dense() for x in (update, expected)]
    naive.check_close(*dense, 1e-13, 1.0)


@pytest.mark.parametrize(("basis", "moves"), [("pretrained", False), ("current", True)])
def test_whose_principal_directions(basis: str, moves: bool) -> None:
    """Seen from the update: it has (1 − α) along U of what it would have had."""
    memory = Memit(0.1).apply(LayerMemory(W, C0), BATCHES[0])
    edited = LayerMemory(memory.weight, C0, pretrained=W)
    update = Sphere(Memit(0.1), alpha=1.0, basis=basis).update(edited, BATCHES[1]).dense()
    along = [np.abs(update @ principal_space(x).basis).max() for x in (W, memory.weight)]
    assert along[moves] < 1e-12
    assert along[not moves] > 1e-3


def test_prune_is_projected_with_its_restraint() -> None:
    memory, editor = LayerMemory(0.05 * W, C0), Prune(Memit(0.1))
    update = editor.update(memory, BATCHES[0])
    assert update.rank > BATCHES[0].size
    expected = SparseProjector(principal_space(0.05 * W), 0.8)(update).dense()
    naive.check_close(Sphere(editor).update(memory, BATCHES[0]).dense(), expected, 1e-13, 1.0)


def test_the_pretrained_basis_is_found_once(monkeypatch) -> None:
    calls = []
    real = principal_space
    monkeypatch.setattr(
        "sphere_theory.editing.sphere.principal_space", lambda *x, **y: calls.append(1) or real(*x, **y)
    )
    streamed(Sphere(Memit()))
    assert len(calls) == 1
    streamed(Sphere(Memit(), basis="current"))
    assert len(calls) == 1 + len(BATCHES)


def test_no_suppression_changes_nothing() -> None:
    for compensate in (False, True):
        plain = streamed(MemitSequential(2.0)).weight
        sphere = streamed(Sphere(MemitSequential(2.0), alpha=0.0, compensate=compensate)).weight
        naive.check_close(sphere, plain, 1e-12, 1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sphere(Sphere()), "editor: expected an editor that is not projected yet, got a Sphere"),
        *(
            (
                lambda editor=editor: Sphere(editor, compensate=True),
                "compensate: expected False, or an editor that solves with all past keys "
                f"(memit-seq, encore, rlsedit), got True for {editor.name}",
            )
            for editor in (Memit(), AlphaEdit(), Rome(), Prune())
        ),
        (
            lambda: Sphere(MemitSequential(), basis="current", compensate=True),
            "compensate: expected False, or basis=\"pretrained\", got True with basis='current'",
        ),
        (
            lambda: Sphere(Memit(), basis="current", solve_on="unprojected"),
            'solve_on: expected "projected", or basis="pretrained", got basis=\'current\'',
        ),
        (
            lambda: Sphere(MemitSequential(), solve_on="unprojected", compensate=True),
            "compensate: expected False, or solve_on=\"projected\", got True with solve_on='unprojected'",
        ),
        (
            lambda: Sphere(Memit(), solve_on="neither"),
            "solve_on: expected one of 'projected', 'unprojected', got 'neither'",
        ),
    ],
)
def test_what_cannot_be_combined(make, message: str) -> None:
    naive.check_refused(make, RangeError, message)


@pytest.mark.parametrize(
    "editor",
    [Memit(2.0), MemitSequential(2.0), Rome(), Rect(Memit(2.0)), Prune(Memit(0.1)), FineTune()],
    ids=repr,
)
def test_solved_on_unprojected_weights_only_the_total_is_projected(editor: Editor) -> None:
    alone = streamed(editor).weight
    handed_out = streamed(Sphere(editor, solve_on="unprojected")).weight
    P = SparseProjector(principal_space(W), 0.8)
    assert gap(handed_out, W + P(alone - W)) < 1e-12
    assert gap(streamed(Sphere(editor)).weight, handed_out) > 1e-3


# --- M1: sequential equals one-time -------------------------------------------------------------


@st.composite
def streams(draw):
    weights = draw(strategies.neuron_matrices(structures=("ordinary", "conv1d"), d=st.integers(3, 10)))
    n, d = weights.shape
    seed = draw(st.integers(0, 999))
    keys = np.random.default_rng(seed).normal(size=(d, 4 * d))
    batches = draw(st.lists(strategies.batches(n, d), min_size=2, max_size=4))
    return LayerMemory(weights, keys @ keys.T / (4 * d)), batches


def in_turn(editor: Editor, memory: LayerMemory, batches) -> np.ndarray:
    for batch in batches:
        memory = editor.apply(memory, batch)
    return memory.weight


def at_once(batches) -> EditBatch:
    return EditBatch(np.hstack([x.keys for x in batches]), np.hstack([x.values for x in batches]))


@pytest.mark.parametrize("editor", [*REMEMBERING, AlphaEdit(1.0, threshold=0.9)], ids=repr)
@given(stream=streams())
def test_sequential_equals_one_time(editor: Editor, stream) -> None:
    memory, batches = stream
    if isinstance(editor, AlphaEdit) and np.linalg.eigvalsh(memory.second_moment)[0] >= 0.9:
        return  # no null space
    once = editor.apply(memory, at_once(batches)).weight
    naive.check_close(in_turn(editor, memory, batches), once, 1e-9, np.abs(once).max())


@pytest.mark.parametrize("editor", [Memit(2.0), Rome()], ids=repr)
def test_forgetful_editors_are_not_in_that_class(editor: Editor) -> None:
    once = editor.apply(LayerMemory(W, C0), ONCE).weight
    if isinstance(editor, Rome):  # its batch is sequential already
        naive.check_close(streamed(editor).weight, once, 1e-9, 1.0)
    else:
        assert gap(streamed(editor).weight, once) > 1e-2


# --- M2: a projection breaks it, by either policy; compensation mends it ------------------------


def projected_at_the_end(editor: Editor, memory: LayerMemory, batches, alpha: float) -> np.ndarray:
    total = in_turn(editor, memory, batches) - memory.weight
    return memory.weight + SparseProjector(principal_space(memory.weight), alpha)(total)


@pytest.mark.parametrize("editor", [*REMEMBERING, AlphaEdit(2.0, threshold=1.2)], ids=repr)
def test_projection_after_each_solve_breaks_it_and_at_the_end_does_not(editor: Editor) -> None:
    """At the end it commutes with the sum; inside the loop the next residual sees what was taken."""
    start, alpha = LayerMemory(W, C0), 0.8
    once = Sphere(editor, alpha=alpha).apply(start, ONCE).weight
    assert gap(projected_at_the_end(editor, start, BATCHES, alpha), once) < 1e-10
    assert gap(streamed(Sphere(editor, alpha=alpha)).weight, once) > 1e-2


@given(stream=streams())
def test_it_breaks_on_generated_problems(stream) -> None:
    memory, batches = stream
    editor = Sphere(MemitSequential(1.0), alpha=0.8)
    once = editor.apply(memory, at_once(batches)).weight
    apart = np.linalg.norm(in_turn(editor, memory, batches) - once)
    assert apart > 1e-8 * np.linalg.norm(once - memory.weight)


def before_the_last_projection(editor: Sphere, memory: LayerMemory, batches) -> np.ndarray:
    """W_{T−1} + Δ_T, from the update: Δ = ΔW P⁻¹, and P⁻¹ = I + α/(1 − α) UUᵀ."""
    for batch in batches[:-1]:
        memory = editor.apply(memory, batch)
    projected = editor.update(memory, batches[-1]).dense()
    U = principal_space(memory.pretrained).basis
    return memory.weight + projected + editor.alpha / (1 - editor.alpha) * projected @ U @ U.T


@pytest.mark.parametrize("editor", REMEMBERING, ids=repr)
@given(stream=streams(), alpha=st.sampled_from([0.2, 0.5, 0.8, 1.5]))
def test_compensated_the_total_is_that_of_one_edit(editor: Editor, stream, alpha: float) -> None:
    memory, batches = stream
    once = editor.apply(memory, at_once(batches)).weight
    total = before_the_last_projection(Sphere(editor, alpha=alpha, compensate=True), memory, batches)
    naive.check_close(total, once, 1e-9, np.abs(once).max())


def test_without_compensation_it_is_not() -> None:
    """The property above can fail."""
    once = MemitSequential(2.0).apply(LayerMemory(W, C0), ONCE).weight
    total = before_the_last_projection(Sphere(MemitSequential(2.0)), LayerMemory(W, C0), BATCHES)
    assert gap(total, once) > 1e-2


@given(stream=streams(), alpha=st.sampled_from([0.5, 0.8, 1.0, 1.5]))
def test_compensation_without_its_matrices(stream, alpha: float) -> None:
    """The thin form against the error matrix E, d×d products and all."""
    memory, batches = stream
    P = naive.paper_projector(memory.weight, 0.5, alpha)
    plain = [(x.keys, x.values) for x in batches]
    oracle, before = naive.compensated_edits(memory.weight, 2.0 * memory.second_moment, plain, P)
    editor = Sphere(MemitSequential(2.0), alpha=alpha, compensate=True)
    weight = in_turn(editor, memory, batches)
    naive.check_close(weight, oracle[-1], 1e-9, np.abs(oracle[-1]).max())
    once = MemitSequential(2.0).apply(memory, at_once(batches)).weight
    naive.check_close(before[-1], once, 1e-9, np.abs(once).max())


def test_compensated_updates_are_low_rank() -> None:
    memory = streamed(Sphere(MemitSequential(2.0), compensate=True))
    rank = principal_space(W).rank
    assert memory.state["sphere.carry"].shape == (N, rank)
    assert Sphere(MemitSequential(2.0), compensate=True).update(memory, BATCHES[0]).rank == 2 + rank


def test_a_projected_step_leaves_the_state_of_its_editor() -> None:
    """The inner inverse is that of an unprojected run: past keys do not depend on the weights."""
    plain, projected = streamed(MemitSequential(2.0)), streamed(Sphere(MemitSequential(2.0)))
    assert torch.equal(plain.state["inverse"], projected.state["inverse"])
    assert isinstance(Sphere(MemitSequential(2.0)).solve(plain, BATCHES[0]), Step)
