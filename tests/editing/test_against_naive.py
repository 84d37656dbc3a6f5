"""Every editor against its released formula with full d×d matrices, on the same inputs, batch after batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphere_theory import strategies
from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.control import Control
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.emmet import Emmet
from sphere_theory.editing.encore import Encore
from sphere_theory.editing.evoedit import EvoEdit
from sphere_theory.editing.finetune import FineTune
from sphere_theory.editing.memit import Memit
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.mose import Mose, MoseRight
from sphere_theory.editing.nas import Nas
from sphere_theory.editing.problem import EditBatch, LayerMemory
from sphere_theory.editing.prune import Prune
from sphere_theory.editing.rect import Rect
from sphere_theory.editing.revive import Revive
from sphere_theory.editing.rlsedit import RlsEdit
from sphere_theory.editing.rome import Rome
from sphere_theory.editing.sphere import Sphere

TOLERANCE = {"float64": 1e-9, "float32": 1e-6}
L2, RIDGE = 2.0, 3.0


class Case(NamedTuple):
    """An editor for a layer, and the weights after each batch by its formula."""

    editor: Callable[[np.ndarray], Editor]  # of C0
    oracle: Callable[..., list[np.ndarray]]  # of W, C0 and the batches


def threshold(C: np.ndarray) -> float:
    """Between the two largest eigenvalues: all directions but one are free."""
    values = np.linalg.eigvalsh(C)
    return float((values[-1] + values[-2]) / 2)


def paper(W: np.ndarray) -> np.ndarray:
    return naive.paper_projector(W, 0.5, 0.8)


def released(W: np.ndarray) -> np.ndarray:
    return naive.released_projector(W, 0.5, 0.8)


MEMIT = Memit(ridge=RIDGE)
SEQUENTIAL = MemitSequential(ridge=RIDGE)
CASES = {
    "rome": Case(lambda C: Rome(), naive.rome_edits),
    "rome, damped": Case(lambda C: Rome(damping=0.7), lambda *x: naive.rome_edits(*x, damping=0.7)),
    "memit": Case(lambda C: MEMIT, lambda *x: naive.memit_edits(*x, RIDGE)),
    "memit, damped": Case(lambda C: Memit(RIDGE, 0.7), lambda *x: naive.memit_edits(*x, RIDGE, 0.7)),
    "memit-seq": Case(lambda C: SEQUENTIAL, lambda *x: naive.memit_edits(*x, RIDGE, remembers=True)),
    "encore": Case(lambda C: Encore(RIDGE, 0.7), lambda *x: naive.memit_edits(*x, RIDGE, 0.7, True)),
    "emmet": Case(lambda C: Emmet(), naive.emmet_edits),
    "alphaedit": Case(
        lambda C: AlphaEdit(L2, threshold(C)),
        lambda W, C, x: naive.alphaedit_edits(W, C, x, L2, threshold(C)),
    ),
    "evoedit": Case(
        lambda C: EvoEdit(L2, threshold(C)), lambda W, C, x: naive.evoedit_edits(W, C, x, L2, threshold(C))
    ),
    "rlsedit": Case(lambda C: RlsEdit(2.0, 0.7), lambda *x: naive.rlsedit_edits(*x, 2.0, 0.7)),
    "rect": Case(lambda C: Rect(MEMIT), lambda *x: naive.rect_edits(*x, RIDGE, 0.4)),
    "prune": Case(lambda C: Prune(MEMIT), lambda *x: naive.prune_edits(*x, RIDGE)),
    "revive": Case(lambda C: Revive(MEMIT, rank=2), lambda *x: naive.revive_edits(*x, RIDGE, 2)),
    "ft": Case(
        lambda C: FineTune(7, 0.01, 0.04, 0.3), lambda W, C, x: naive.finetune_edits(W, x, 7, 0.01, 0.04, 0.3)
    ),
    "nas": Case(lambda C: Nas(MEMIT), lambda *x: naive.nas_edits(*x, RIDGE)),
    "nas, given norm": Case(lambda C: Nas(MEMIT, 2.5), lambda *x: naive.nas_edits(*x, RIDGE, 2.5)),
    "mose": Case(lambda C: Mose(20.0), lambda *x: naive.mose_edits(*x, 20.0)),
    "mose-right": Case(lambda C: MoseRight(20.0), lambda *x: naive.mose_right_edits(*x, 20.0)),
    "sphere": Case(
        lambda C: Sphere.paper(SEQUENTIAL), lambda *x: naive.sphere_edits(*x, RIDGE, paper, remembers=True)
    ),
    "sphere, released": Case(
        lambda C: Sphere.released(MEMIT), lambda *x: naive.sphere_edits(*x, RIDGE, released, current=True)
    ),
    "sphere, compensated": Case(
        lambda C: Sphere(SEQUENTIAL, compensate=True),
        lambda W, C, x: naive.compensated_edits(W, RIDGE * C, x, paper(W))[0],
    ),
    "control, shrink": Case(
        lambda C: Control(MEMIT, "shrink"),
        lambda *x: naive.control_edits(*x, RIDGE, lambda delta, W: naive.shrunk(delta, W, 0.5, 0.8)),
    ),
    "control, random": Case(
        lambda C: Control(MEMIT, "random", seed=7),
        lambda *x: naive.control_edits(
            *x, RIDGE, lambda delta, W: naive.off_random_space(delta, W, 0.5, 0.8, 7)
        ),
    ),
    "control, bottom": Case(
        lambda C: Control(MEMIT, "bottom"),
        lambda *x: naive.control_edits(
            *x, RIDGE, lambda delta, W: naive.off_bottom_space(delta, W, 0.5, 0.8)
        ),
    ),
}
# Which entries RECT keeps may turn on one rounding.
FLOAT32 = sorted(set(CASES) - {"rect"})


def agree(case: Case, W, C, batches: list[EditBatch], tolerance: float) -> float:
    """The largest gap to the oracle over all batches, relative to what was added to the weights."""
    memory, editor = LayerMemory(W, C), case.editor(naive.plain(C))
    plain = [(naive.plain(batch.keys), naive.plain(batch.values)) for batch in batches]
    worst = 0.0
    for expected, batch in zip(case.oracle(naive.plain(W), naive.plain(C), plain), batches, strict=True):
        memory = editor.apply(memory, batch)
        gap = np.linalg.norm(naive.plain(memory.weight) - expected)
        worst = max(worst, gap / max(np.linalg.norm(expected), np.linalg.norm(naive.plain(W))))
    assert worst <= tolerance, f"expected a gap ≤ {tolerance:g}, got {worst:.3g}"
    return worst


@st.composite
def problems(draw, dtype: str, n: tuple[int, int] = (2, 8)):
    """Small weights, so that edits outgrow them, C0 of full rank, and up to three batches."""
    rows, d = draw(st.integers(*n)), draw(st.integers(8, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    W, keys = 0.3 * rng.normal(size=(rows, d)), rng.normal(size=(d, 4 * d))
    batches = draw(
        st.lists(strategies.batches(rows, d, b=st.integers(1, 2), dtype=dtype), min_size=1, max_size=3)
    )
    # Two batches from one seed would edit the same key twice, which the literal EvoEdit cannot.
    batches = [EditBatch(np.roll(x.keys, i, axis=0), x.values) for i, x in enumerate(batches)]
    return W.astype(dtype), (keys @ keys.T / (4 * d)).astype(dtype), batches


@pytest.mark.parametrize("name", CASES)
@given(problem=problems("float64"))
def test_float64(name: str, problem) -> None:
    agree(CASES[name], *problem, TOLERANCE["float64"])


@pytest.mark.parametrize("name", FLOAT32)
@given(problem=problems("float32"))
def test_float32(name: str, problem) -> None:
    agree(CASES[name], *problem, TOLERANCE["float32"])


# MOSE's rotation is not unique there: tests/editing/test_mose.py.
@pytest.mark.parametrize("name", sorted(set(CASES) - {"mose"}))
@given(problem=problems("float64", n=(13, 16)))
def test_more_neurons_than_dimensions(name: str, problem) -> None:
    agree(CASES[name], *problem, TOLERANCE["float64"])


@pytest.mark.parametrize("name", ["memit", "memit-seq", "rlsedit", "alphaedit", "sphere, compensated"])
@given(data=st.data())
def test_more_keys_than_dimensions(name: str, data) -> None:
    W, C, _ = data.draw(problems("float64"))
    batches = [data.draw(strategies.batches(*W.shape, b=W.shape[1] + 3)) for _ in range(2)]
    agree(CASES[name], W, C, batches, TOLERANCE["float64"])


WRONG = {
    "memit": ("without the ridge on C0", lambda *x: naive.memit_edits(*x, 1.1 * RIDGE)),
    "memit-seq": ("forgetful", lambda *x: naive.memit_edits(*x, RIDGE)),
    "rome": ("all keys with the first weights", naive.emmet_edits),
    "emmet": ("one key after the other", naive.rome_edits),
    "alphaedit": (
        "no projector on the right side",
        lambda W, C, x: naive.memit_edits(W, np.eye(len(C)), x, L2, remembers=True),
    ),
    "evoedit": (
        "a fixed null space",
        lambda W, C, x: [
            W + sum(naive.evoedit_edits(W, C, [one], L2, threshold(C))[0] - W for one in x[: i + 1])
            for i in range(len(x))
        ],
    ),
    "rlsedit": ("the roles of λ and μ exchanged", lambda *x: naive.rlsedit_edits(*x, 0.7, 2.0)),
    "rect": ("another share", lambda *x: naive.rect_edits(*x, RIDGE, 0.6)),
    "prune": ("no restraint", lambda *x: naive.memit_edits(*x, RIDGE)),
    "revive": ("one direction fewer", lambda *x: naive.revive_edits(*x, RIDGE, 1)),
    "ft": ("no clamp", lambda W, C, x: naive.finetune_edits(W, x, 7, 0.01, None, 0.3)),
    "nas": ("the values as they are", lambda *x: naive.memit_edits(*x, RIDGE)),
    "mose": ("on the other side", lambda *x: naive.mose_right_edits(*x, 20.0)),
    "mose-right": ("on the other side", lambda *x: naive.mose_edits(*x, 20.0)),
    "sphere": ("released policy", lambda *x: naive.sphere_edits(*x, RIDGE, released, True, True)),
    "sphere, released": ("the pretrained basis", lambda *x: naive.sphere_edits(*x, RIDGE, released)),
    "sphere, compensated": ("not compensated", lambda *x: naive.sphere_edits(*x, RIDGE, paper, True)),
    "control, shrink": ("SPHERE itself", lambda *x: naive.sphere_edits(*x, RIDGE, paper)),
    "control, random": (
        "another draw",
        lambda *x: naive.control_edits(
            *x, RIDGE, lambda delta, W: naive.off_random_space(delta, W, 0.5, 0.8, 8)
        ),
    ),
    "control, bottom": ("SPHERE itself", lambda *x: naive.sphere_edits(*x, RIDGE, paper)),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_formula_is_seen(name: str) -> None:
    rng = np.random.default_rng(1)
    W, keys = 0.3 * rng.normal(size=(6, 10)), rng.normal(size=(10, 40))
    batches = [EditBatch(rng.normal(size=(10, 2)), rng.normal(size=(6, 2))) for _ in range(3)]
    mutant = Case(CASES[name].editor, WRONG[name][1])
    with pytest.raises(AssertionError, match="expected a gap"):
        agree(mutant, W, keys @ keys.T / 40, batches, 1e-4)


# --- a real layer -------------------------------------------------------------------------------

REAL = {
    "memit": Case(lambda C: Memit(15.0), lambda *x: naive.memit_edits(*x, 15.0)),
    "memit-seq": Case(
        lambda C: MemitSequential(15.0), lambda *x: naive.memit_edits(*x, 15.0, remembers=True)
    ),
    "encore": Case(lambda C: Encore(15.0), lambda *x: naive.memit_edits(*x, 15.0, 20.0, True)),
    "rlsedit": Case(lambda C: RlsEdit(), lambda *x: naive.rlsedit_edits(*x, 1.0, 1.0)),
    "emmet": Case(lambda C: Emmet(), naive.emmet_edits),
    "alphaedit": Case(
        lambda C: AlphaEdit(threshold=half(C)), lambda W, C, x: naive.alphaedit_edits(W, C, x, 10.0, half(C))
    ),
    "evoedit": Case(
        lambda C: EvoEdit(threshold=half(C)), lambda W, C, x: naive.evoedit_edits(W, C, x, 10.0, half(C))
    ),
    "rect": Case(lambda C: Rect(Memit(15.0)), lambda *x: naive.rect_edits(*x, 15.0, 0.4)),
    "prune": Case(lambda C: Prune(Memit(15.0)), lambda *x: naive.prune_edits(*x, 15.0)),
    "sphere, released": Case(
        lambda C: Sphere.released(Memit(15.0)),
        lambda *x: naive.sphere_edits(*x, 15.0, released, current=True),
    ),
    "sphere, compensated": Case(
        lambda C: Sphere(MemitSequential(15.0), compensate=True),
        lambda W, C, x: naive.compensated_edits(W, 15.0 * C, x, paper(W))[0],
    ),
}


def half(C: np.ndarray) -> float:
    return float(np.median(np.linalg.eigvalsh(C)))


@pytest.fixture(scope="module")
def real():
    """MiniLM's layer 3, keys of its own sentences, and values of other keys."""
    from sphere_theory import load_layer, second_moment
    from sphere_theory.models.minilm_keys import minilm_keys

    keys = minilm_keys([3])[3].matrix.double()
    W = load_layer("minilm", "encoder.layer.3.output.dense.weight").double()
    chosen = torch.randperm(keys.shape[1], generator=torch.Generator().manual_seed(0))
    K = keys[:, chosen[:60]]
    values = (W @ K).roll(1, dims=1) * 3
    batches = [EditBatch(K[:, i : i + 20], values[:, i : i + 20]) for i in (0, 20, 40)]
    return W.numpy(), second_moment(keys).numpy(), batches


@pytest.mark.parametrize("name", REAL)
def test_a_real_layer(name: str, real, record_property) -> None:
    gap = agree(REAL[name], *real, TOLERANCE["float64"])
    record_property("gap", float(gap))


def test_a_real_layer_one_key_at_a_time(real) -> None:
    W, C, batches = real
    thin = [EditBatch(batch.keys[:, :4], batch.values[:, :4]) for batch in batches[:2]]
    agree(CASES["rome"], W, C, thin, TOLERANCE["float64"])


@pytest.mark.parametrize("name", ["memit", "memit-seq", "rlsedit", "alphaedit", "sphere, compensated"])
def test_a_real_layer_in_float32(name: str, real) -> None:
    W, C, batches = real
    small = [EditBatch(batch.keys.float(), batch.values.float()) for batch in batches]
    agree(REAL[name], W.astype(np.float32), C, small, TOLERANCE["float32"])
