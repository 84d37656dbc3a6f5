"""The Gram tracker against computing everything afresh, over long streams and bad updates."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphere_theory import GramTracker, energy
from sphere_theory.errors import NonFiniteError, RangeError, ShapeError
from sphere_theory.gram import gram_matrix

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def a_tracker(dtype: str = "float32", n: int = 20, d: int = 12, **settings: float) -> GramTracker:
    return GramTracker(naive.structured("gaussian", 0, n, d, dtype), **settings)


def edits(
    W: np.ndarray, rank: int, size: float, seed: int, count: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Factors of edits of a relative size, in the dtype of W."""
    rng, (n, d) = np.random.default_rng(seed), W.shape
    scale = size * np.linalg.norm(W) / math.sqrt(rank * n * d)
    factors = ((scale * rng.normal(size=(n, rank)), rng.normal(size=(d, rank))) for _ in range(count))
    return [(left.astype(W.dtype), right.astype(W.dtype)) for left, right in factors]


@pytest.mark.parametrize(("n", "d"), [(1, 1), (3, 7), (300, 5), (520, 1100)])
def test_gram_matrix_is_the_product(n: int, d: int) -> None:
    W = np.random.default_rng(n).normal(size=(n, d))
    naive.check_close(gram_matrix(torch.from_numpy(W)).numpy(), W @ W.T, 1e-12, d)
    small = W[:4, :6].astype(np.float32)
    naive.check_close(gram_matrix(torch.from_numpy(small)).numpy(), naive.gram(naive.exact(small)), 1e-14, d)


@pytest.mark.parametrize("dtype", naive.DTYPES)
@pytest.mark.parametrize("size", [1e-3, 0.3])
def test_tracker_follows_200_updates(size: float, dtype: str) -> None:
    W = naive.structured("gaussian", 1, 96, 48, dtype)
    tracker, plain = GramTracker(W), W.astype(np.float64)
    for step, (left, right) in enumerate(edits(W, 4, size, 2, 200), start=1):
        tracker.update(left, right)
        plain += left.astype(np.float64) @ right.astype(np.float64).T
        if step % 20 == 0:
            for s in (0.0, 1.0, 2.0):
                scale = abs(naive.terms(plain, s)).sum()
                naive.check_close(tracker.energy(s), energy(tracker.weight, s=s), TOLERANCE[dtype], scale)
                naive.check_close(tracker.energy(s), naive.HE(plain, s), TOLERANCE[dtype], scale)
            assert tracker.drift <= TOLERANCE[dtype]
    assert tracker.updates == 200
    norms = np.linalg.norm(plain, axis=1)
    naive.check_close(tracker.row_norms(), norms, TOLERANCE[dtype])
    naive.check_close(tracker.gram, plain @ plain.T, TOLERANCE[dtype], np.outer(norms, norms))
    naive.check_close(tracker.weight, plain, TOLERANCE[dtype], norms.max())


def test_tracker_recomputes_near_pairs_from_the_weights() -> None:
    W = naive.near(np.random.default_rng(3), 30, 16, 1e-5).astype(np.float32)
    tracker = GramTracker(W)
    naive.check_close(tracker.energy(2), naive.HE(naive.exact(W), 2.0), 1e-6)
    W = naive.structured("tight cluster", 4, 30, 16, "float32")
    naive.check_close(GramTracker(W).energy(), naive.HE(naive.exact(W)), 1e-6)


@pytest.mark.parametrize("left", [1e-1, 1e-2, 1e-3, 1e-4, 1e-6])
def test_tracker_survives_a_row_that_shrinks(left: float) -> None:
    """One row loses most of its length: its inner products are differences of much larger ones."""
    W = naive.structured("gaussian", 5, 64, 32, "float32")
    tracker = GramTracker(W)
    selector = np.zeros((64, 1), np.float32)
    selector[7] = left - 1
    tracker.update(selector, W[7:8].T)
    true = np.linalg.norm(tracker.weight.astype(np.float64), axis=1)
    naive.check_close(tracker.energy(), energy(tracker.weight), 1e-5)
    naive.check_close(tracker.row_norms(), true, 1e-5)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 3),
    st.sampled_from([1e-6, 0.1, 3]),
)
def test_tracker_equals_recomputation(seed: int, n: int, d: int, rank: int, size: float) -> None:
    W = naive.structured("gaussian", seed, n, d + 1)
    tracker = GramTracker(W)
    for left, right in edits(W, rank, size, seed, 3):
        tracker.update(left, right)
    naive.check_close(tracker.energy(), naive.HE(tracker.weight), 1e-8, naive.HE(tracker.weight) + 1)
    naive.check_close(tracker.gram, naive.gram(tracker.weight), 1e-9, np.abs(tracker.gram).max())


def test_drift_refreshes_by_itself() -> None:
    W = naive.structured("gaussian", 6, 40, 20, "float32")
    strict = GramTracker(W, tolerance=1e-12, check_every=4)
    relaxed = GramTracker(W, tolerance=1.0, check_every=4)
    for left, right in edits(W, 2, 0.3, 7, 21):
        strict.update(left, right)
        relaxed.update(left, right)
    assert (strict.refreshes, relaxed.refreshes) == (5, 0)
    relaxed.refresh()
    assert relaxed.refreshes == 1
    strict.refresh()
    assert relaxed.gram.tolist() == strict.gram.tolist()


def test_drift_is_that_of_the_gram_matrix() -> None:
    """A probe with random signs estimates ‖G − WWᵀ‖_F/‖G‖_F: right to a factor of 3, in both directions."""
    tracker = a_tracker(n=60)
    G = tracker.gram
    noise = np.random.default_rng(8).normal(size=G.shape).astype(np.float32) * 1e-3
    G += noise + noise.T  # a view of the tracker's own
    true = np.linalg.norm(tracker.gram - naive.plain(tracker.weight) @ naive.plain(tracker.weight).T)
    true /= np.linalg.norm(tracker.gram)
    assert true / 3 <= tracker.drift <= 3 * true
    tracker.refresh()
    assert tracker.drift < 1e-6


@pytest.mark.parametrize("dtype", naive.DTYPES)
@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_tracker_answers_in_kind(wrap: Callable, dtype: str) -> None:
    W = wrap(naive.structured("gaussian", 9, 8, 6, dtype))
    tracker = GramTracker(W)
    naive.check_kind(tracker.weight, W, dtype)
    naive.check_kind(tracker.gram, W, dtype)
    naive.check_kind(tracker.row_norms(), W, "float64")


def test_tracker_keeps_its_own_copy() -> None:
    W = naive.structured("gaussian", 10, 8, 6)
    before = W.copy()
    tracker = GramTracker(W)
    tracker.update(*edits(W, 2, 0.3, 11, 1)[0])
    assert (before == W).all()
    told = tracker.energy()
    tracker.row_norms()[:] = 0
    W[:] = 0
    assert tracker.energy() == told


def test_a_caller_who_has_the_new_weights_may_hand_them_over() -> None:
    generator = torch.Generator().manual_seed(0)
    W, left, right = (torch.randn(shape, generator=generator) for shape in ((20, 30), (20, 3), (30, 3)))
    alone, handed = GramTracker(W), GramTracker(W)
    edited = W + left @ right.T
    kept = edited.clone()
    alone.update(left, right)
    handed.update(left, right, weight=edited)
    assert handed.weight.data_ptr() == edited.data_ptr(), "expected the caller's tensor, not a copy"
    assert handed.energy() == pytest.approx(alone.energy(), rel=1e-6)
    handed.update(left, right)  # now it has to make its own
    handed.restore(alone.state())
    assert torch.equal(edited, kept), "expected the caller's tensor to stay as it was"
    with pytest.raises(ShapeError, match="weight"):
        handed.update(left, right, weight=edited[1:])


def test_weights_that_are_not_those_of_the_update_are_noticed() -> None:
    generator = torch.Generator().manual_seed(0)
    W, left, right = (torch.randn(shape, generator=generator) for shape in ((20, 30), (20, 3), (30, 3)))
    tracker = GramTracker(W, check_every=1)
    tracker.update(left, right, weight=W + left @ right.T)
    assert tracker.refreshes == 0
    tracker.update(left, right, weight=W)
    assert tracker.refreshes == 1
    assert tracker.energy() == pytest.approx(GramTracker(W).energy(), rel=1e-12)


def test_tracker_lets_go_of_the_callers_array() -> None:
    W = naive.structured("gaussian", 12, 8, 6).copy()
    watch = weakref.ref(W)
    tracker = GramTracker(W)
    del W
    assert watch() is None, "expected the caller's array to be freed, the tracker still holds it"
    assert tracker.updates == 0


N, D = 20, 12
ONE = np.ones((N, 1))
PICK = np.eye(N, 1, dtype=np.float32)


def finite(argument: str, got: str) -> tuple[type, str]:
    return NonFiniteError, f"{argument}: expected finite numbers, got {got}"


def shaped(argument: str, expected: str, got: str) -> tuple[type, str]:
    return ShapeError, f"{argument}: expected shape {expected}, got shape {got}"


def fitting(got: str) -> tuple[type, str]:
    fit = "row norms between 9.09e-13 and 1.1e+12, whose products fit torch.float32"
    return RangeError, f"left, right: expected {fit}, got {got}"


NAN = np.where(np.arange(N) == 3, np.nan, 1.0)[:, None]
WIDE = np.ones((D, 1))

BAD_UPDATES: dict[str, tuple[Callable, tuple[type, str]]] = {
    "nan": (lambda W: (NAN, WIDE), finite("left", "1 of 20 entries NaN or infinite (first at (3, 0): nan)")),
    "infinity": (
        lambda W: (ONE, WIDE * np.inf),
        finite("right", "12 of 12 entries NaN or infinite (first at (0, 0): inf)"),
    ),
    "left too short": (lambda W: (ONE[1:], WIDE), shaped("left", "(20, any)", "(19, 1)")),
    "right too short": (lambda W: (ONE, WIDE[1:]), shaped("right", "(12, 1)", "(11, 1)")),
    "different ranks": (lambda W: (ONE, np.ones((D, 2))), shaped("right", "(12, 1)", "(12, 2)")),
    "too large": (lambda W: (ONE * 1e20, WIDE), fitting("20 rows outside (first at row 0: 3.46e+20)")),
    "infinite product": (
        lambda W: (ONE * 1e30, WIDE * 1e30),
        fitting("20 rows outside (first at row 0: inf)"),
    ),
    "beyond float32": (lambda W: (ONE * 1e300, WIDE), fitting("20 rows outside (first at row 0: inf)")),
    "a row becomes zero": (lambda W: (-PICK, W[:1].T), fitting("1 rows outside (first at row 0: 0)")),
}


def state_of(tracker: GramTracker) -> list[object]:
    arrays = (tracker.weight, tracker.gram, tracker.row_norms())
    return [tracker.energy(), tracker.updates, *(array.tolist() for array in arrays)]


@pytest.mark.parametrize("name", BAD_UPDATES)
def test_a_bad_update_changes_nothing(name: str) -> None:
    tracker = a_tracker(n=N, d=D)
    tracker.update(ONE * 0.1, np.linspace(0, 1, D, dtype=np.float32)[:, None])
    before = state_of(tracker)
    make, refusal = BAD_UPDATES[name]
    naive.check_refused(lambda: tracker.update(*make(tracker.weight)), *refusal)
    assert state_of(tracker) == before


def test_factors_of_opposite_scale_make_an_ordinary_edit() -> None:
    W = naive.structured("gaussian", 13, N, D, "float32")
    tracker = GramTracker(W)
    left, right = edits(W, 1, 0.1, 14, 1)[0]
    tracker.update(left * np.float32(1e-25), right * np.float32(1e25))
    naive.check_close(tracker.energy(), energy(W + left @ right.T), 1e-5)


def test_coincident_neurons_in_a_tracker() -> None:
    tracker = GramTracker(np.array([[1.0, 0.0], [0.0, 1.0]]))
    tracker.update(np.array([[0.0], [1.0]]), np.array([[3.0], [-1.0]]))
    assert tracker.energy() == math.inf


@pytest.mark.gpu
def test_tracker_on_cuda(cuda: torch.device) -> None:
    W = naive.structured("gaussian", 15, 500, 300, "float32")
    here, there = GramTracker(W), GramTracker(torch.from_numpy(W).to(cuda))
    again = GramTracker(torch.from_numpy(W).to(cuda))
    for left, right in edits(W, 5, 0.1, 16, 40):
        here.update(left, right)
        for tracker in (there, again):
            tracker.update(torch.from_numpy(left).to(cuda), torch.from_numpy(right).to(cuda))
    naive.check_close(there.energy(), here.energy(), 1e-5)
    assert there.energy() == again.energy()
    assert there.weight.device.type == "cuda"
    assert there.drift <= 1e-5


# --- taken up elsewhere ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", naive.DTYPES)
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_a_restored_tracker_goes_on_to_the_bit(layout: str, dtype: str) -> None:
    """Whatever the layout of W: later products round by it."""
    W = naive.structured("gaussian", 17, 40, 70, dtype)
    W = W if layout == "rows" else np.asfortranarray(W)
    steps = edits(W, 3, 0.4, 18, 12)
    whole, first = (GramTracker(W, tolerance=1e-9, check_every=2) for _ in range(2))
    for left, right in steps:
        whole.update(left, right)
    for left, right in steps[:5]:
        first.update(left, right)
    stored = {name: tensor.contiguous().clone() for name, tensor in first.state().items()}
    first.update(*steps[6])  # what is stored is not touched by it
    second = GramTracker(W, tolerance=1e-9, check_every=2)
    second.restore(stored)
    for left, right in steps[5:]:
        second.update(left, right)
    assert state_of(second) == state_of(whole)
    assert second.refreshes == whole.refreshes > 0 or dtype == "float64"
    for name, tensor in second.state().items():
        assert torch.equal(tensor, whole.state()[name])


def test_a_restored_tracker_shares_nothing_with_what_it_came_from() -> None:
    stored = a_tracker(n=N, d=D).state()
    second = a_tracker(n=N, d=D)
    second.restore(stored)
    told = second.energy()
    stored["weight"].zero_()
    stored["gram"].zero_()
    assert second.energy() == told


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gram": None}, "state['gram']: expected shape (20, 20) of torch.float32, got nothing"),
        (
            {"weight": torch.zeros(20, 11)},
            "state['weight']: expected shape (20, 12) of torch.float32, got shape (20, 11) of torch.float32",
        ),
        (
            {"norms": torch.zeros(20)},
            "state['norms']: expected shape (20,) of torch.float64, got shape (20,) of torch.float32",
        ),
    ],
)
def test_a_state_of_another_layer_changes_nothing(change: dict, said: str) -> None:
    tracker = a_tracker(n=N, d=D)
    state = {name: tensor.clone() for name, tensor in tracker.state().items()} | change
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    before = state_of(tracker)
    naive.check_refused(lambda: tracker.restore(state), ShapeError, said)
    assert state_of(tracker) == before
