"""Each strategy generates what it says, shrinks to something small, and refuses what it cannot generate."""

from __future__ import annotations

import doctest
import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import naive
import numpy as np
import pytest
import torch
from hypothesis import Phase, find, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import FailedHealthCheck

from sphere_theory import energy, principal_space, strategies
from sphere_theory.errors import InputError, NonFiniteError, RangeError, ShapeError, ZeroRowError

KINDS = [(dtype, library) for dtype in ("float64", "float32") for library in ("numpy", "torch")]
MODELS = {"numpy": np.zeros(1), "torch": torch.zeros(1)}
ROUNDING = {"float64": 1e-14, "float32": 1e-6}

every_kind = pytest.mark.parametrize(("dtype", "library"), KINDS)


def the_simplest(strategy: st.SearchStrategy[Any], condition: Callable[[Any], bool] = lambda x: True) -> Any:
    """What Hypothesis reports: the smallest example that it finds with a property."""
    phases = (Phase.generate, Phase.shrink)
    quick = settings(database=None, derandomize=True, max_examples=300, phases=phases)
    return find(strategy, condition, settings=quick)


def some(strategy: st.SearchStrategy[Any], count: int = 10, first: int = 0) -> list[Any]:
    examples = []

    @seed(first)
    @settings(database=None, deadline=None, max_examples=count)
    @given(strategy)
    def collect(example: Any) -> None:
        examples.append(example)

    collect()
    return examples


def gaussian(n: int, d: int, dtype: str = "float64", library: str = "numpy") -> Any:
    W = naive.structured("gaussian", 11, n, d, dtype)
    return torch.from_numpy(W) if library == "torch" else W


def cosine(a: Any, b: Any) -> float:
    a, b = naive.plain(a).ravel(), naive.plain(b).ravel()
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


# --- neurons -------------------------------------------------------------------------------------


def check_ordinary(W: Any, dtype: str) -> None:
    assert np.linalg.matrix_rank(naive.plain(W)) == min(W.shape)
    assert np.abs(naive.plain(W)).max() < 6


def check_near(W: Any, dtype: str) -> None:
    angle = naive.angles(naive.distances(naive.exact(W)[[0, -1]]))[0, 1]
    assert min(abs(angle - offered) for offered in (1e-1, 1e-3, 1e-6)) <= 3 * ROUNDING[dtype]


def check_simplex(W: Any, dtype: str) -> None:
    n, d = W.shape
    assert n <= d + 1
    naive.check_close(
        naive.others(naive.distances(naive.plain(W))), math.sqrt(2 * n / (n - 1)), ROUNDING[dtype]
    )


def check_clustered(W: Any, dtype: str) -> None:
    """Rows of one cluster are within 2·0.05 of each other; so are all that are not near the first row."""
    angles = naive.angles(naive.distances(naive.plain(W)))
    rest = np.flatnonzero(angles[0] > 0.1 + 1e-6)
    assert angles[np.ix_(rest, rest)].max(initial=0) <= 0.1 + 1e-6


def check_deficient(W: Any, dtype: str) -> None:
    values = np.linalg.svd(naive.plain(W), compute_uv=False)
    rank = int((values > 1e-5 * values[0]).sum()) if dtype == "float32" else np.linalg.matrix_rank(W)
    assert 2 <= rank <= max(2, min(W.shape) // 2) < min(W.shape)


def check_extreme(W: Any, dtype: str) -> None:
    """Rows of scales from the whole range, whose Gram matrix is still finite and has no zero norm."""
    decades = np.log10(naive.norms(naive.plain(W)))
    assert np.abs(decades).max() <= {"float32": 15, "float64": 100}[dtype] + 2
    gram = np.asarray(W) @ np.asarray(W).T
    assert gram.dtype == dtype
    assert np.isfinite(gram).all()
    assert (np.diag(gram) > 0).all()


def check_conv1d(W: Any, dtype: str) -> None:
    stored = W.stride() if isinstance(W, torch.Tensor) else tuple(s // W.itemsize for s in W.strides)
    assert stored == (1, W.shape[0]), f"expected columns one after the other, got strides {stored}"
    check_ordinary(W, dtype)


CHECKS: dict[str, Callable[[Any, str], None]] = {
    "ordinary": check_ordinary,
    "near-coincident": check_near,
    "simplex": check_simplex,
    "clustered": check_clustered,
    "rank-deficient": check_deficient,
    "extreme-scale": check_extreme,
    "conv1d": check_conv1d,
}


def test_every_structure_is_checked() -> None:
    assert tuple(CHECKS) == strategies.STRUCTURES


@every_kind
@pytest.mark.parametrize("structure", CHECKS)
def test_neuron_matrices_have_their_structure(structure: str, dtype: str, library: str) -> None:
    kind = {"dtype": dtype, "library": library}
    for W in some(strategies.neuron_matrices(structures=(structure,), **kind), 25):
        naive.check_kind(W, MODELS[library], dtype)
        n, d = W.shape
        assert 2 <= n <= 12
        assert 2 <= d <= 10
        assert math.isfinite(energy(W))  # no zero row, no coincident pair
        CHECKS[structure](W, dtype)


@pytest.mark.parametrize("structure", [name for name in CHECKS if name != "ordinary"])
def test_the_checks_tell_structures_apart(structure: str) -> None:
    """A check that ordinary neurons pass would have checked nothing."""
    if structure == "extreme-scale":
        examples = some(strategies.neuron_matrices(structures=(structure,), n=8), 10)
        spreads = [np.ptp(np.log10(naive.norms(W))) for W in examples]
        assert max(spreads) > 50
        return
    with pytest.raises(AssertionError):
        CHECKS[structure](gaussian(7, 6), "float64")


@given(st.floats(1e-6, math.pi), st.integers(2, 8), st.integers(2, 8), st.data())
def test_the_near_pair_is_at_the_chosen_angle(angle: float, n: int, d: int, data: st.DataObject) -> None:
    W = data.draw(strategies.neuron_matrices(structures=("near-coincident",), n=n, d=d, angle=angle))
    assert W.shape == (n, d)
    first, last = naive.directions(naive.exact(W)[[0, -1]])
    apart, together = naive.norms(np.stack([first - last, first + last]))
    naive.check_close(float(2 * naive.MP.atan2(apart, together)), angle, 1e-9)


@pytest.mark.parametrize(("dtype", "angle"), [("float32", 9.6e-7), ("float64", 1.8e-15)])
def test_the_smallest_angle_is_still_an_angle(dtype: str, angle: float) -> None:
    near = strategies.neuron_matrices(structures=("near-coincident",), angle=angle, dtype=dtype)
    for W in some(near, 50):
        measured = float(naive.distances(naive.exact(W)[[0, -1]])[0, 1])
        assert 0.5 * angle < measured < 1.5 * angle


# --- inputs --------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("condition", [1.0, 10.0, 1e4])
@pytest.mark.parametrize("m", [1, 3, 5, 9])
def test_inputs_have_their_condition(m: int, condition: float, dtype: str, library: str) -> None:
    for X in some(strategies.inputs(5, m=m, condition=condition, dtype=dtype, library=library)):
        naive.check_kind(X, MODELS[library], dtype)
        assert X.shape == (5, m)
        values = np.linalg.svd(naive.plain(X), compute_uv=False)
        expected = np.geomspace(1, 1 / condition, min(5, m))
        naive.check_close(values, expected, ROUNDING[dtype], 1.0)
        naive.check_close(
            values[0] / values[-1], condition if m > 1 else 1.0, condition * ROUNDING[dtype] * 2
        )


def test_inputs_up_to_the_last_condition_that_a_dtype_resolves() -> None:
    for X in some(strategies.inputs(4, m=6, condition=1e6, dtype="float32")):
        assert np.linalg.matrix_rank(naive.plain(X)) == 4
        naive.check_close(np.linalg.cond(naive.plain(X)), 1e6, 0.2)


# --- edits ---------------------------------------------------------------------------------------


def rank_of(step: np.ndarray) -> int:
    values = np.linalg.svd(step, compute_uv=False)
    return int((values > 1e-5 * values[0]).sum())


def along(step: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Cosine of each row of an edit with its neuron."""
    return (step * W).sum(axis=1) / (naive.norms(step) * naive.norms(W))


EDITS: dict[str, Callable[[np.ndarray, np.ndarray, float], object]] = {
    "random": lambda step, W, eps: rank_of(step) == min(W.shape),
    "tangent": lambda step, W, eps: np.abs(along(step, W)).max() <= eps,
    "radial": lambda step, W, eps: along(step, W).min() >= 1 - eps,
    "ascent": lambda step, W, eps: cosine(step, naive.gradient(W)) >= 1 - eps,
    "descent": lambda step, W, eps: cosine(step, naive.gradient(W)) <= -1 + eps,
    "low-rank": lambda step, W, eps: rank_of(step) == 1,
}


def test_every_direction_is_checked() -> None:
    assert tuple(EDITS) == strategies.DIRECTIONS


@every_kind
@pytest.mark.parametrize("direction", EDITS)
def test_edits_have_their_direction_and_size(direction: str, dtype: str, library: str) -> None:
    W = gaussian(6, 5, dtype, library)
    stored = naive.plain(W)
    for size in (1e-8, 1e-2, 1.0, 30.0):
        for delta in some(strategies.edits(W, directions=(direction,), size=size), 5):
            naive.check_kind(delta, W, dtype)
            step = naive.plain(delta)
            naive.check_close(np.linalg.norm(step) / np.linalg.norm(stored), size, ROUNDING[dtype])
            assert EDITS[direction](step, stored, ROUNDING[dtype])
    others = [name for name in EDITS if name != direction]
    passed = [name for name in others if EDITS[name](step, stored, ROUNDING[dtype])]
    assert set(passed) <= {"random", "tangent"}  # a gradient is tangent, and most things are of full rank


SCALES = {
    "numbers whose squares overflow": gaussian(4, 3) * 1e200,
    "numbers whose squares vanish": gaussian(4, 3) * 1e-200,
    "float32, far apart": (gaussian(4, 3) * np.array([[1e15], [1], [1e-10], [1e-15]])).astype(np.float32),
    "float32, tiny": (gaussian(4, 3) * 1e-25).astype(np.float32),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("direction", EDITS)
def test_edits_of_extreme_weights_keep_their_size(direction: str, scale: str) -> None:
    W = SCALES[scale]
    peak = float(np.abs(W).max())
    for delta in some(strategies.edits(W, directions=(direction,), size=1e-4), 5):
        assert delta.dtype == W.dtype
        ratio = np.linalg.norm(naive.plain(delta) / peak) / np.linalg.norm(naive.plain(W) / peak)
        naive.check_close(ratio, 1e-4, 1e-6)


def test_an_edit_of_no_size() -> None:
    for delta in some(strategies.edits(gaussian(3, 2), size=0)):
        assert (delta == 0).all()


NOWHERE = {
    "ascent from a simplex": (naive.simplex(5), "ascent"),
    "descent from a simplex": (naive.simplex(5), "descent"),
    "ascent from antipodal neurons": (np.array([[1.0, 0.0], [-2.0, 0.0]]), "ascent"),
    "tangents in one dimension": (np.array([[1.0], [-1.0]]), "tangent"),
}


@pytest.mark.parametrize("case", NOWHERE)
def test_directions_that_do_not_exist_are_discarded(case: str) -> None:
    W, direction = NOWHERE[case]
    with pytest.raises(FailedHealthCheck):
        some(strategies.edits(W, directions=(direction,)))
    assert len(some(strategies.edits(W, directions=("random", direction)))) == 10


# --- motions of single neurons -------------------------------------------------------------------


def pair_angle(W: np.ndarray, i: int, j: int) -> float:
    first, second = naive.directions(naive.exact(W))[[i, j]]
    apart, together = naive.norms(np.stack([first - second, first + second]))
    return float(2 * naive.MP.atan2(apart, together))


@every_kind
@pytest.mark.parametrize("length", strategies.LENGTHS)
@pytest.mark.parametrize("share", [0.3, 1e-2, 0.499, -0.2])
def test_turns_bring_two_neurons_closer(share: float, length: str, dtype: str, library: str) -> None:
    W = gaussian(5, 4, dtype, library)
    stored, rounding = naive.plain(W), 30 * ROUNDING[dtype]
    for delta in some(strategies.turns(W, share=share, lengths=(length,))):
        naive.check_kind(delta, W, dtype)
        step = naive.plain(delta)
        i, j = np.flatnonzero(np.abs(step).max(axis=1))  # two, or this does not unpack
        before, after = (pair_angle(weights, i, j) for weights in (stored, stored + step))
        naive.check_close(after, before * (1 - 2 * share), rounding)
        turned = naive.turns(stored, stored + step - stored)[[i, j]]
        naive.check_close(turned, abs(share) * before, rounding)
        growth = {"kept": 1.0, "longer": 1 / np.cos(turned), "shorter": np.cos(turned)}[length]
        naive.check_close(naive.norms(stored + step)[[i, j]], growth * naive.norms(stored)[[i, j]], rounding)


@pytest.mark.parametrize("angle", [1e-6, math.pi - 1e-6])
def test_a_close_or_opposite_pair_turns_by_its_share_too(angle: float) -> None:
    near = strategies.neuron_matrices(structures=("near-coincident",), n=2, d=3, angle=angle, decades=8)
    for W in some(near, 5):
        for delta in some(strategies.turns(W, share=0.25), 5):
            naive.check_close(pair_angle(W + delta, 0, 1), angle / 2, 1e-9)


def test_a_tiny_turn_keeps_its_digits() -> None:
    W = np.array([[3.0, 0.0], [0.0, 2.0]])
    for delta in some(strategies.turns(W, share=1e-12)):
        naive.check_close([delta[0, 1] / 3, delta[1, 0] / 2], 1e-12 * math.pi / 2, 1e-14)


def test_neurons_on_one_line_span_no_plane() -> None:
    with pytest.raises(FailedHealthCheck):
        some(strategies.turns(np.array([[1.0, 2.0], [-3.0, -6.0]])))


@every_kind
@pytest.mark.parametrize("remains", [1.0, 1e-3, 10.0])
def test_reversals_pass_through_the_origin(remains: float, dtype: str, library: str) -> None:
    W, sent = gaussian(4, 3, dtype, library), set()
    for delta in some(strategies.reversals(W, remains=remains), 40):
        naive.check_kind(delta, W, dtype)
        after = naive.plain(W) + naive.plain(delta)
        reversed_ = np.flatnonzero(np.abs(naive.plain(delta)).max(axis=1))
        assert len(reversed_) >= 1
        unit = float(np.abs(naive.plain(W)).max())
        naive.check_close(after[reversed_], -remains * naive.plain(W)[reversed_], 20 * ROUNDING[dtype], unit)
        sent.add(len(reversed_))
    assert sent >= {1, 2, 3}


def test_decades_scale_every_structure() -> None:
    shapes = {"n": 8, "d": 8, "decades": 8}
    for structure in strategies.STRUCTURES:
        if structure == "extreme-scale":  # has its own
            continue
        examples = some(strategies.neuron_matrices(structures=(structure,), **shapes), 10)
        spreads = [np.ptp(np.log10(naive.norms(W))) for W in examples]
        assert 8 < max(spreads) < 18, structure
        for W in examples:
            CHECKS[structure](naive.directions(W), "float64")


# --- spectra -------------------------------------------------------------------------------------


def smaller_gram(W: np.ndarray) -> np.ndarray:
    return W.T @ W if W.shape[0] >= W.shape[1] else W @ W.T


@every_kind
@pytest.mark.parametrize("shape", strategies.SHAPES)
@pytest.mark.parametrize("values", [(1, 1), (4, 1, 1), (9, 9, 4, 4), (16, 1, 1, 0.25, 0.25), (1,) * 7])
def test_tied_spectra_are_exact(values: tuple[float, ...], shape: str, dtype: str, library: str) -> None:
    k = len(values)
    expected = {"square": (k, k), "tall": (4 * (k // 2), k), "wide": (k, 4 * (k // 2))}[shape]
    for W in some(strategies.tied_spectra(eigenvalues=values, shapes=(shape,), dtype=dtype, library=library)):
        naive.check_kind(W, MODELS[library], dtype)
        assert tuple(W.shape) == expected
        gram = smaller_gram(naive.plain(W))
        assert (gram == np.diag(np.diag(gram))).all()
        assert sorted(np.diag(gram), reverse=True) == list(values)
        assert tuple(np.linalg.eigvalsh(gram)[::-1]) == values  # of a diagonal matrix they come out exact
        assert math.isfinite(energy(W))


def test_other_eigenvalues_are_met_to_rounding() -> None:
    values = (math.pi, math.e, math.e, 0.1)
    for W in some(strategies.tied_spectra(eigenvalues=values, shapes=strategies.SHAPES)):
        naive.check_close(np.linalg.eigvalsh(smaller_gram(W))[::-1], values, 1e-14)


SHARES = sorted({Fraction(p, q) for q in range(2, 17) for p in range(1, q)})


@pytest.mark.parametrize("share", SHARES, ids=str)
def test_eigenvalues_are_tied_at_the_chosen_share(share: Fraction) -> None:
    eta = share.numerator / share.denominator
    lengths = set()
    for values in some(strategies.tied_eigenvalues(eta), 20):
        assert list(values) == sorted(values, reverse=True)
        assert eta in np.cumsum(values) / np.sum(values)
        assert 2 <= len(values) <= 16
        lengths.add(len(values))
    assert share.denominator > 8 or len(lengths) > 1


@given(st.sampled_from(SHARES), st.data())
def test_the_two_rank_rules_differ_at_the_tie(share: Fraction, data: st.DataObject) -> None:
    eta = float(share)
    values = data.draw(strategies.tied_eigenvalues(eta))
    W = data.draw(strategies.tied_spectra(eigenvalues=values, shapes=strategies.SHAPES))
    paper, released = (principal_space(W, eta=eta, rank_rule=rule) for rule in ("paper", "released"))
    assert paper.share == eta
    assert (released.rank, tuple(released.eigenvalues)) == (paper.rank + 1, values[: paper.rank + 1])


@given(strategies.tied_spectra())
def test_ones_are_the_default_spectrum(W: np.ndarray) -> None:
    assert np.array_equal(W.T @ W, np.eye(W.shape[1]))
    assert (np.abs(W).sum(axis=1) == 1).all()


# --- projectors, batches, updates ----------------------------------------------------------------


@every_kind
@pytest.mark.parametrize(("r", "alpha"), [(1, 0.0), (3, 0.8), (5, 2.0)])
def test_projectors_are_what_they_say(r: int, alpha: float, dtype: str, library: str) -> None:
    for projector in some(strategies.projectors(5, r=r, alpha=alpha, dtype=dtype, library=library)):
        U = projector.space.basis
        naive.check_kind(U, MODELS[library], dtype)
        assert (tuple(U.shape), projector.space.rank, projector.alpha) == ((5, r), r, alpha)
        naive.check_close(naive.plain(U).T @ naive.plain(U), np.eye(r), ROUNDING[dtype], 1.0)
        expected = np.eye(5) - alpha * naive.plain(U) @ naive.plain(U).T
        naive.check_close(naive.plain(projector.dense()), expected, ROUNDING[dtype], 1.0)


@every_kind
def test_batches_are_what_they_say(dtype: str, library: str) -> None:
    kind = {"dtype": dtype, "library": library}
    for batch in some(strategies.batches(4, 3, **kind)):
        keys, values = batch.keys, batch.values
        naive.check_kind(keys, MODELS[library], dtype)
        naive.check_kind(values, MODELS[library], dtype)
        assert keys.shape == (3, values.shape[1])
        assert values.shape[0] == 4
        assert 1 <= keys.shape[1] <= 6
    for batch in some(strategies.batches(4, 3, repeated=True, **kind)):
        keys, values = batch.keys, batch.values
        assert (keys[:, -1] == keys[:, 0]).all()
        assert (values[:, -1] != values[:, 0]).all()


@every_kind
def test_low_rank_updates_are_what_they_say(dtype: str, library: str) -> None:
    for update in some(strategies.low_rank_updates(6, 5, b=2, dtype=dtype, library=library)):
        naive.check_kind(update.left, MODELS[library], dtype)
        naive.check_kind(update.right, MODELS[library], dtype)
        assert (update.shape, update.rank, rank_of(naive.plain(update.dense()))) == ((6, 5), 2, 2)


# --- shrinking and seeds -------------------------------------------------------------------------

SMALL: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], bool], Callable[[Any], bool]]] = {
    "neurons: two in the plane, ordinary, seed 0": (
        strategies.neuron_matrices(),
        lambda W: True,
        lambda W: np.array_equal(
            W, np.random.default_rng([0, int.from_bytes(b"neurons")]).normal(size=(2, 2))
        ),
    ),
    "neurons: no more of them than needed": (
        strategies.neuron_matrices(),
        lambda W: len(W) > 4,
        lambda W: W.shape == (5, 2),
    ),
    "neurons: no more dimensions than needed": (
        strategies.neuron_matrices(),
        lambda W: W.shape[1] > 4,
        lambda W: W.shape == (2, 5),
    ),
    "a near pair: alone in the plane": (
        strategies.neuron_matrices(),
        lambda W: energy(W) > 1e5,
        lambda W: W.shape == (2, 2) and 1e6 < energy(W) < 3e6,  # 2/1e-6
    ),
    "a simplex: no more neurons than needed": (
        strategies.neuron_matrices(structures=("simplex",)),
        lambda W: len(W) > 3,
        lambda W: W.shape == (4, 3),
    ),
    "rank deficiency: a plane in space": (
        strategies.neuron_matrices(structures=("ordinary", "near-coincident", "rank-deficient")),
        lambda W: bool(np.linalg.matrix_rank(W) < min(W.shape)),
        lambda W: W.shape == (3, 3),
    ),
    "Conv1D layout: two in the plane": (
        strategies.neuron_matrices(),
        lambda W: not W.flags.c_contiguous,
        lambda W: W.shape == (2, 2),
    ),
    "inputs: one": (strategies.inputs(6), lambda X: True, lambda X: X.shape == (6, 1)),
    "inputs: no more than needed": (
        strategies.inputs(6, m=st.integers(1, 12), condition=st.sampled_from([1.0, 1e3])),
        lambda X: bool(np.linalg.cond(X) > 10),
        lambda X: X.shape == (6, 2),
    ),
    "edits: random, the first size": (
        strategies.edits(np.eye(2), size=st.sampled_from([1e-3, 1.0])),
        lambda delta: True,
        lambda delta: (delta != 0).all() and abs(np.linalg.norm(delta) / math.sqrt(2) - 1e-3) < 1e-12,
    ),
    "edits: only as large as needed": (
        strategies.edits(np.eye(2)),
        lambda delta: bool(np.linalg.norm(delta) > 1e-3),
        lambda delta: abs(np.linalg.norm(delta) / math.sqrt(2) - 1e-2) < 1e-12,
    ),
    "tied eigenvalues: the fewest": (
        strategies.tied_eigenvalues(0.5),
        lambda values: True,
        lambda values: values == (1, 1),
    ),
    "eigenvalues tied where they meet: the fewest": (
        strategies.tied_eigenvalues(0.5),
        lambda values: len(set(values)) > 1,
        lambda values: values == (4, 1, 1, 1, 1),
    ),
    "tied spectra: the square": (
        strategies.tied_spectra(shapes=strategies.SHAPES),
        lambda W: True,
        lambda W: W.shape == (2, 2),
    ),
    "tied spectra: a rectangle": (
        strategies.tied_spectra(shapes=strategies.SHAPES),
        lambda W: W.shape[0] > W.shape[1],
        lambda W: W.shape == (4, 2),
    ),
    "projectors: one direction, α = 0": (
        strategies.projectors(5),
        lambda projector: True,
        lambda projector: (projector.space.rank, projector.alpha) == (1, 0),
    ),
    "projectors: no more directions than needed": (
        strategies.projectors(5),
        lambda projector: projector.space.rank > 2 and projector.alpha > 0.6,
        lambda projector: (projector.space.rank, projector.alpha) == (3, 0.8),
    ),
    "batches: one key": (
        strategies.batches(3, 2),
        lambda batch: True,
        lambda batch: batch.keys.shape == (2, 1),
    ),
    "contradictory batches: two keys": (
        strategies.batches(3, 2, repeated=True),
        lambda batch: True,
        lambda batch: batch.values.shape == (3, 2),
    ),
    "updates: of rank one": (
        strategies.low_rank_updates(3, 2),
        lambda update: True,
        lambda update: update.rank == 1,
    ),
}


@pytest.mark.parametrize("case", SMALL)
def test_examples_shrink(case: str) -> None:
    strategy, condition, small = SMALL[case]
    example = the_simplest(strategy, condition)
    assert small(example), f"got {example}"


def test_a_strategy_gives_the_same_examples_for_the_same_seed() -> None:
    for strategy in (
        strategies.neuron_matrices(),
        strategies.edits(gaussian(3, 2)),
        strategies.tied_spectra(),
    ):
        once, again, other = ([W.tobytes() for W in some(strategy, 10, first)] for first in (3, 3, 4))
        assert once == again
        assert once != other


def test_strategies_that_share_a_seed_share_no_numbers() -> None:
    """The simplest examples all have seed 0; here they are given one shape too."""
    W = the_simplest(strategies.neuron_matrices())
    numbers = [
        W,
        the_simplest(strategies.edits(W)),
        the_simplest(strategies.turns(W)),
        the_simplest(strategies.inputs(2, m=2)),
        the_simplest(strategies.projectors(2, r=2)).space.basis,
        the_simplest(strategies.batches(2, 2, b=2)).keys,
        the_simplest(strategies.batches(2, 2, b=2)).values,
        the_simplest(strategies.low_rank_updates(2, 2, b=2)).left,
        the_simplest(strategies.low_rank_updates(2, 2, b=2)).right,
    ]
    for a, b in itertools.combinations(numbers, 2):
        assert abs(cosine(a, b)) < 0.999
    again = the_simplest(strategies.neuron_matrices(dtype="float32", library="torch"))
    assert np.array_equal(naive.plain(again), W.astype(np.float32))  # rounded, not drawn anew


def test_numbers_may_be_strategies() -> None:
    for W in some(strategies.neuron_matrices(n=st.just(5), d=4, structures=("ordinary",))):
        assert W.shape == (5, 4)
    for X in some(strategies.inputs(3, m=st.just(2), condition=st.just(1.0))):
        assert X.shape == (3, 2)
    for W in some(strategies.tied_spectra(eigenvalues=st.sampled_from([(4.0, 1.0), (9.0, 9.0)]))):
        assert sorted(np.abs(W[W != 0])) in ([1, 2], [3, 3])
    assert {projector.alpha for projector in some(strategies.projectors(3, alpha=st.just(0.3)))} == {0.3}
    assert {batch.keys.shape for batch in some(strategies.batches(3, 2, b=st.just(4)))} == {(2, 4)}


@pytest.mark.parametrize(
    "strategy", [strategies.inputs(3, m=1), strategies.tied_spectra(d=2)], ids=["inputs", "spectra"]
)
def test_signs_are_not_favoured(strategy: st.SearchStrategy[np.ndarray]) -> None:
    """QR alone gives the columns of a basis a sign of its own."""
    assert {float(np.sign(X[X != 0][0])) for X in some(strategy, 30)} == {-1, 1}


def test_shapes_that_no_structure_has_are_not_drawn() -> None:
    only = ("simplex", "rank-deficient")
    for W in some(strategies.neuron_matrices(structures=only, n=st.integers(2, 5), d=st.integers(2, 4)), 50):
        n, d = W.shape
        assert n <= d + 1 or min(n, d) > 2


def test_the_worked_example() -> None:
    assert doctest.testmod(strategies) == doctest.TestResults(failed=0, attempted=4)


# --- wrong use -----------------------------------------------------------------------------------

one_of_structures = "one of " + ", ".join(map(repr, strategies.STRUCTURES))
one_of_directions = "one of " + ", ".join(map(repr, strategies.DIRECTIONS))

BAD: dict[str, tuple[Callable[[], object], type[InputError], str]] = {
    "one neuron": (
        lambda: strategies.neuron_matrices(n=1),
        RangeError,
        "n: expected an integer ≥ 2, got 1",
    ),
    "one dimension": (
        lambda: strategies.neuron_matrices(d=1),
        RangeError,
        "d: expected an integer ≥ 2, got 1",
    ),
    "half a neuron": (
        lambda: strategies.neuron_matrices(n=2.5),
        RangeError,
        "n: expected an integer ≥ 2, got 2.5",
    ),
    "an unknown structure": (
        lambda: strategies.neuron_matrices(structures=("cluster",)),
        RangeError,
        f"structures: expected {one_of_structures}, got 'cluster'",
    ),
    "no structure": (
        lambda: strategies.neuron_matrices(structures=()),
        RangeError,
        "structures: expected a tuple of at least one name, got ()",
    ),
    "a structure by its name alone": (
        lambda: strategies.neuron_matrices(structures="simplex"),
        RangeError,
        "structures: expected a tuple of at least one name, got 'simplex'",
    ),
    "too many neurons for a simplex": (
        lambda: strategies.neuron_matrices(structures=("simplex",), n=5, d=3),
        RangeError,
        "structures: expected one that shape (5, 3) allows, got ('simplex',)",
    ),
    "too few dimensions to lack one": (
        lambda: strategies.neuron_matrices(structures=("rank-deficient",), d=2),
        RangeError,
        "structures: expected one that shape (any, 2) allows, got ('rank-deficient',)",
    ),
    "coincident neurons": (
        lambda: strategies.neuron_matrices(angle=0.0),
        RangeError,
        "angle: expected a number in [1.77636e-15, 3.14159], got 0.0",
    ),
    "an angle that float32 does not resolve": (
        lambda: strategies.neuron_matrices(angle=1e-7, dtype="float32"),
        RangeError,
        "angle: expected a number in [9.53674e-07, 3.14159], got 1e-07",
    ),
    "another dtype": (
        lambda: strategies.neuron_matrices(dtype="float16"),
        RangeError,
        "dtype: expected one of 'float32', 'float64', got 'float16'",
    ),
    "another library": (
        lambda: strategies.inputs(3, library="jax"),
        RangeError,
        "library: expected one of 'numpy', 'torch', got 'jax'",
    ),
    "no dimension": (lambda: strategies.inputs(0), RangeError, "d: expected an integer ≥ 1, got 0"),
    "no input": (lambda: strategies.inputs(3, m=0), RangeError, "m: expected an integer ≥ 1, got 0"),
    "a condition below one": (
        lambda: strategies.inputs(3, condition=0.5),
        RangeError,
        "condition: expected a number in [1, 5.6295e+14], got 0.5",
    ),
    "a condition that float32 does not resolve": (
        lambda: strategies.inputs(3, condition=1e8, dtype="float32"),
        RangeError,
        "condition: expected a number in [1, 1.04858e+06], got 100000000.0",
    ),
    "an unknown direction": (
        lambda: strategies.edits(np.eye(2), directions=("up",)),
        RangeError,
        f"directions: expected {one_of_directions}, got 'up'",
    ),
    "a negative size": (
        lambda: strategies.edits(np.eye(2), size=-1.0),
        RangeError,
        "size: expected a number in [0, ∞), got -1.0",
    ),
    "weights with a zero row": (
        lambda: strategies.edits(np.array([[1.0, 0.0], [0.0, 0.0]])),
        ZeroRowError,
        "W: expected no zero row (it has no direction), got 1 zero rows (first at row 1)",
    ),
    "weights that are not finite": (
        lambda: strategies.edits(np.array([[1.0, math.nan]])),
        NonFiniteError,
        "W: expected finite numbers, got 1 of 2 entries NaN or infinite (first at (0, 1): nan)",
    ),
    "a share that is no small fraction": (
        lambda: strategies.tied_eigenvalues(0.123),
        RangeError,
        "eta: expected a fraction p/q with 0 < p < q ≤ 16, got 0.123",
    ),
    "the whole as a share": (
        lambda: strategies.tied_eigenvalues(1.0),
        RangeError,
        "eta: expected a fraction p/q with 0 < p < q ≤ 16, got 1.0",
    ),
    "a share above one": (
        lambda: strategies.tied_eigenvalues(1.5),
        RangeError,
        "eta: expected a number in [0, 1], got 1.5",
    ),
    "one eigenvalue": (
        lambda: strategies.tied_spectra(eigenvalues=(1.0,)),
        RangeError,
        "eigenvalues: expected at least two numbers, got (1.0,)",
    ),
    "an eigenvalue that is zero": (
        lambda: strategies.tied_spectra(eigenvalues=(1.0, 0.0)),
        RangeError,
        "eigenvalues: expected a number in (0, ∞), got 0.0",
    ),
    "eigenvalues and their number": (
        lambda: strategies.tied_spectra(eigenvalues=(1.0, 1.0), d=2),
        InputError,
        "d: expected None where the eigenvalues are given, got 2",
    ),
    "an unknown shape": (
        lambda: strategies.tied_spectra(shapes=("round",)),
        RangeError,
        "shapes: expected one of 'square', 'wide', 'tall', got 'round'",
    ),
    "α beyond a reflection": (
        lambda: strategies.projectors(3, alpha=2.5),
        RangeError,
        "alpha: expected a number in [0, 2], got 2.5",
    ),
    "more directions than dimensions": (
        lambda: strategies.projectors(3, r=4),
        RangeError,
        "r: expected an integer ≥ 1 and ≤ 3, got 4",
    ),
    "decades below one": (
        lambda: strategies.neuron_matrices(decades=-1),
        RangeError,
        "decades: expected an integer ≥ 0 and ≤ 100, got -1",
    ),
    "more decades than the dtype has": (
        lambda: strategies.neuron_matrices(decades=16, dtype="float32"),
        RangeError,
        "decades: expected an integer ≥ 0 and ≤ 15, got 16",
    ),
    "neurons that meet": (
        lambda: strategies.turns(np.eye(2), share=0.5),
        RangeError,
        "share: expected a number in [-0.5, 0.5], got 0.5",
    ),
    "a turn of no known length": (
        lambda: strategies.turns(np.eye(2), lengths=("halved",)),
        RangeError,
        "lengths: expected one of 'kept', 'longer', 'shorter', got 'halved'",
    ),
    "a turn of a single neuron": (
        lambda: strategies.turns(np.eye(2)[:1]),
        ShapeError,
        "W: expected at least 2 neurons (rows), got shape (1, 2)",
    ),
    "a turn of a zero row": (
        lambda: strategies.turns(np.diag([1.0, 0.0])),
        ZeroRowError,
        "W: expected no zero row (it has no direction), got 1 zero rows (first at row 1)",
    ),
    "a reversal into nothing": (
        lambda: strategies.reversals(np.eye(2), remains=0.0),
        RangeError,
        "remains: expected a number in (0, ∞), got 0.0",
    ),
    "an empty batch": (
        lambda: strategies.batches(3, 2, b=0),
        RangeError,
        "b: expected an integer ≥ 1, got 0",
    ),
    "a single key that contradicts itself": (
        lambda: strategies.batches(3, 2, b=1, repeated=True),
        RangeError,
        "b: expected an integer ≥ 2, got 1",
    ),
    "an update of rank zero": (
        lambda: strategies.low_rank_updates(3, 2, b=0),
        RangeError,
        "b: expected an integer ≥ 1, got 0",
    ),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("case", BAD)
def test_wrong_use_is_refused_before_any_example_is_drawn(case: str) -> None:
    naive.check_refused(*BAD[case])


LATE: dict[str, tuple[st.SearchStrategy[Any], str]] = {
    "n": (strategies.neuron_matrices(n=st.just(1)), "n: expected an integer ≥ 2, got 1"),
    "condition": (
        strategies.inputs(2, condition=st.just(0.0)),
        "condition: expected a number in [1, 5.6295e+14], got 0.0",
    ),
    "size": (strategies.edits(np.eye(2), size=st.just(-1.0)), "size: expected a number in [0, ∞), got -1.0"),
    "eigenvalues": (
        strategies.tied_spectra(eigenvalues=st.just((1.0, -1.0))),
        "eigenvalues: expected a number in (0, ∞), got -1.0",
    ),
}


@pytest.mark.parametrize("argument", LATE)
def test_what_a_strategy_draws_is_refused_when_it_is_drawn(argument: str) -> None:
    strategy, message = LATE[argument]
    naive.check_refused(lambda: the_simplest(strategy), RangeError, message)
