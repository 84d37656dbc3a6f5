"""Principal space: three routes to one space, two rank rules that differ at ties alone, and no d×d array."""

from __future__ import annotations

import math
from collections.abc import Callable

import naive
import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from sphere_theory import Subspace, bottom_space, principal_space, random_space

ROUTES = ("dual", "covariance")
seeds = st.integers(0, 2**32 - 1)


def decaying(seed: int, n: int = 120, d: int = 90, rate: float = 0.8, k: int = 60) -> np.ndarray:
    return naive.with_spectrum(np.random.default_rng(seed), n, d, rate ** np.arange(k))


def tied(count: int, seed: int = 0, n: int = 24, d: int = 20) -> np.ndarray:
    """A scaled part of an orthogonal matrix: `count` equal eigenvalues."""
    return naive.with_spectrum(np.random.default_rng(seed), n, d, np.full(count, 7.0))


# --- one space, several routes -------------------------------------------------------------------


@given(
    seeds,
    st.tuples(st.integers(2, 30), st.integers(2, 30)),
    st.floats(0.05, 1.0),
    st.sampled_from(["raw", "unit"]),
    st.sampled_from(["paper", "released"]),
    st.sampled_from(sorted(naive.DTYPES)),
)
def test_routes_agree_with_the_literal_one(
    seed: int, shape: tuple[int, int], eta: float, rows: str, rank_rule: str, dtype: str
) -> None:
    W = naive.structured("gaussian", seed, *shape, dtype)
    stored = naive.directions(W.astype(np.float64)) if rows == "unit" else W.astype(np.float64)
    values = np.linalg.eigvalsh(stored.T @ stored)[::-1]
    shares = np.cumsum(values) / values.sum()
    assume(np.abs(shares / eta - 1).min() > 1e-4 and eta < 0.9999)  # at a near tie rounding may decide
    rank = int((shares < eta).sum()) + 1  # without ties the two rules agree
    exact = np.linalg.eigh(stored.T @ stored)[1][:, ::-1][:, :rank]
    for method in (*ROUTES, "auto"):
        space = principal_space(W, eta=eta, rows=rows, rank_rule=rank_rule, method=method)
        naive.check_kind(space.basis, W, dtype)
        naive.check_kind(space.eigenvalues, W, "float64")
        assert (space.rank, space.basis.shape) == (rank, (W.shape[1], rank))
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        naive.check_close(space.share, shares[rank - 1], tolerance)
        naive.check_close(space.eigenvalues, values[:rank], tolerance, values[0])
        naive.check_close(space.basis.T @ space.basis, np.eye(rank), tolerance, 1.0)
        gap = (values[rank - 1] - (values[rank] if rank < len(values) else 0)) / values[0]
        assert naive.sine(space.basis, exact) <= tolerance / gap


def test_the_space_names_what_decided_it() -> None:
    for shape, route in (((5, 9), "dual"), ((9, 5), "covariance"), ((5, 5), "dual")):
        space = principal_space(
            naive.structured("gaussian", 1, *shape), eta=0.3, rows="unit", rank_rule="released"
        )
        assert isinstance(space, Subspace)
        assert (space.eta, space.rows, space.rank_rule, space.method) == (0.3, "unit", "released", route)
        assert 0 <= space.angle_error < 1e-10


def test_columns_fall_in_eigenvalue() -> None:
    W = decaying(2)
    space = principal_space(W, eta=0.99)
    image = np.linalg.norm(W @ space.basis, axis=0) ** 2
    naive.check_close(image, space.eigenvalues, 1e-9)
    assert (np.diff(space.eigenvalues) <= 0).all()


@pytest.mark.parametrize("method", ROUTES)
def test_columns_stay_orthonormal_over_a_wide_spectrum(method: str) -> None:
    W = naive.with_spectrum(np.random.default_rng(3), 14, 12, 10.0 ** -np.arange(0.0, 12.0))
    space = principal_space(W, eta=1 - 1e-11, method=method)
    assert space.rank >= 10
    naive.check_close(space.basis.T @ space.basis, np.eye(space.rank), 1e-12, 1.0)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-30, 1e30, 1e200, 1e300])
@pytest.mark.parametrize("method", [*ROUTES, "randomized"])
def test_the_space_does_not_depend_on_the_scale(method: str, scale: float) -> None:
    W = decaying(4)
    plain, scaled = (principal_space(x, eta=0.7, method=method) for x in (W, W * scale))
    assert scaled.rank == plain.rank
    naive.check_close(scaled.share, plain.share, 1e-9)
    assert naive.sine(scaled.basis, plain.basis) < 1e-7


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("method", [*ROUTES, "randomized"])
def test_float32_at_extreme_scales(method: str, scale: float) -> None:
    W = decaying(5).astype(np.float32)
    plain, scaled = (principal_space(x, eta=0.7, method=method) for x in (W, W * np.float32(scale)))
    assert scaled.rank == plain.rank
    assert naive.sine(scaled.basis, plain.basis) < 1e-4
    assert scaled.angle_error < 1e-2, f"expected a known space, got an error estimate of {scaled.angle_error}"


def test_unit_rows_ignore_the_scale_of_a_row() -> None:
    W = decaying(6)
    stretched = W * 10.0 ** np.random.default_rng(7).uniform(-3, 3, size=(len(W), 1))
    one, other = (principal_space(x, rows="unit") for x in (W, stretched))
    assert one.rank == other.rank
    assert naive.sine(one.basis, other.basis) < 1e-9
    assert principal_space(stretched).rank != one.rank


# --- rank rules ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ulps", [-1, 0, 1])
@pytest.mark.parametrize("noise", [0.0, 1e-15])
@pytest.mark.parametrize("method", ROUTES)
@pytest.mark.parametrize(
    ("count", "eta", "paper"), [(4, 0.5, 2), (4, 0.25, 1), (5, 0.6, 3), (10, 0.3, 3), (10, 0.7, 7)]
)
def test_rules_differ_by_one_at_a_tie(
    count: int, eta: float, paper: int, method: str, noise: float, ulps: int
) -> None:
    """Also where the weights, or η itself, carry the rounding of their last bit."""
    eta += ulps * math.ulp(eta)
    for seed in range(5):
        W = tied(count, seed) * (1 + noise * np.random.default_rng(seed).normal(size=(24, 20)))
        ranks = [
            principal_space(W, eta=eta, rank_rule=rule, method=method).rank for rule in ("paper", "released")
        ]
        assert ranks == [paper, paper + 1], f"expected {[paper, paper + 1]}, got {ranks}"


@given(seeds, st.floats(0.05, 0.95))
def test_rules_agree_off_ties(seed: int, eta: float) -> None:
    W = naive.structured("gaussian", seed, 12, 15)
    paper, released = (principal_space(W, eta=eta, rank_rule=rule) for rule in ("paper", "released"))
    assert paper.rank == released.rank
    assert paper.share >= eta


@pytest.mark.parametrize("tie", [0.3, 0.5, 0.7])
def test_the_tie_is_narrow(tie: float) -> None:
    """A relative 1e-9 beside the tie both rules agree again."""
    for eta, rank in ((tie * (1 - 1e-9), round(10 * tie)), (tie * (1 + 1e-9), round(10 * tie) + 1)):
        for rule in ("paper", "released"):
            assert principal_space(tied(10), eta=eta, rank_rule=rule).rank == rank


@pytest.mark.parametrize("method", [*ROUTES, "randomized"])
@pytest.mark.parametrize("rule", ["paper", "released"])
@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (6, 6)])
def test_everything_is_kept_at_eta_one(shape: tuple[int, int], rule: str, method: str) -> None:
    """The released rule asks for one direction more than there are."""
    space = principal_space(naive.structured("gaussian", 8, *shape), eta=1, rank_rule=rule, method=method)
    assert space.rank == 6
    naive.check_close(space.share, 1.0, 1e-12)


@pytest.mark.parametrize("method", [*ROUTES, "randomized"])
@pytest.mark.parametrize("rule", ["paper", "released"])
def test_no_direction_beyond_the_rank_of_the_weights(rule: str, method: str) -> None:
    W = tied(5)
    space = principal_space(W, eta=1, rank_rule=rule, method=method)
    assert space.rank == 5
    naive.check_close(naive.span(space.basis), naive.span(np.linalg.svd(W)[2][:5].T), 1e-12, 1.0)


@pytest.mark.parametrize("rule", ["paper", "released"])
def test_one_neuron_has_one_direction(rule: str) -> None:
    W = np.array([[3.0, 4.0, 0.0]])
    for method in (*ROUTES, "randomized"):
        space = principal_space(W, eta=1, rank_rule=rule, method=method)
        naive.check_close(abs(space.basis), [[0.6], [0.8], [0.0]], 1e-14, 1.0)
        naive.check_close(space.eigenvalues, [25.0], 1e-14)


# --- the randomised route ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "dtype", "tolerance"),
    [
        (0.5, "float64", 1e-12),
        (0.8, "float64", 1e-9),
        (0.95, "float64", 1e-6),
        (0.5, "float32", 1e-6),
        (0.95, "float32", 1e-5),
    ],
)
def test_randomized_agrees_where_the_spectrum_decays(rate: float, dtype: str, tolerance: float) -> None:
    W = decaying(9, n=160, d=150, rate=rate, k=140).astype(dtype)
    exact = principal_space(W.astype(np.float64), eta=0.6)
    for seed in range(5):
        space = principal_space(W, eta=0.6, method="randomized", seed=seed)
        assert (space.rank, space.method) == (exact.rank, "randomized")
        naive.check_close(space.eigenvalues, exact.eigenvalues, tolerance, exact.eigenvalues[0])
        assert naive.sine(space.basis, exact.basis) < tolerance**0.5 / (1 - rate)


@pytest.mark.parametrize("rate", [0.7, 0.9, 0.97, 0.99])
@pytest.mark.parametrize("eta", [0.3, 0.6, 0.9])
def test_angle_error_covers_the_true_angle(rate: float, eta: float) -> None:
    W = decaying(10, n=160, d=150, rate=rate, k=140)
    for dtype in naive.DTYPES:
        stored = W.astype(dtype)
        for seed in range(3):
            space = principal_space(stored, eta=eta, method="randomized", seed=seed)
            _, _, right = np.linalg.svd(stored.astype(np.float64))
            true = naive.sine(space.basis, right[: space.rank].T)
            said = space.angle_error
            assert true <= 1.5 * said + 1e-7, f"expected at least {true:.3g}, the true sine, got {said:.3g}"


@pytest.mark.parametrize("method", [*ROUTES, "randomized"])
def test_angle_error_is_one_at_a_tie(method: str) -> None:
    for seed in range(10):
        W = tied(10, seed, 60, 50)
        said = principal_space(W, eta=0.35, method=method, seed=seed).angle_error
        assert said > 0.5, f"expected about 1 where λ_r = λ_(r+1), got {said:.3g}"


def test_randomized_grows_until_it_holds_the_share() -> None:
    W = naive.structured("gaussian", 11, 220, 200)
    space = principal_space(W, eta=0.8, method="randomized")
    exact = principal_space(W, eta=0.8)
    assert space.share >= 0.8
    assert exact.rank <= space.rank <= exact.rank + 20


def test_randomized_is_decided_by_its_seed() -> None:
    W = naive.structured("gaussian", 12, 200, 150)
    one, same, other = (principal_space(W, eta=0.1, method="randomized", seed=seed) for seed in (1, 1, 2))
    assert (one.basis == same.basis).all()
    assert (one.basis != other.basis).any()


# --- memory --------------------------------------------------------------------------------------


THIN = torch.from_numpy(decaying(13, n=40, d=400, k=30))


@pytest.mark.parametrize("rows", ["raw", "unit"])
@pytest.mark.parametrize("method", ["dual", "randomized", "auto"])
def test_no_array_of_d_by_d(method: str, rows: str) -> None:
    with naive.Recorded() as recorded:
        principal_space(THIN, method=method, rows=rows)
        bottom_space(THIN, 3, rows=rows)
    largest = recorded.largest
    assert largest <= 2 * 40 * 400, f"expected thin arrays, got one of {largest} entries (d² = {400 * 400})"


def test_the_covariance_route_does_form_it() -> None:
    with naive.Recorded() as recorded:
        principal_space(THIN, method="covariance")
    assert recorded.largest >= 400 * 400


@pytest.mark.parametrize("method", [*ROUTES, "randomized"])
def test_only_r_columns_come_back(method: str) -> None:
    space = principal_space(THIN, method=method)
    for kept, entries in ((space.basis, 400 * space.rank), (space.eigenvalues, space.rank)):
        held = naive.storage(kept)
        assert held == entries, f"expected {entries} entries kept alive, got {held}"


# --- controls ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(9, 14), (14, 9)])
@pytest.mark.parametrize("rows", ["raw", "unit"])
def test_bottom_space_is_the_other_end(shape: tuple[int, int], rows: str) -> None:
    W = naive.structured("gaussian", 14, *shape)
    stored = naive.directions(W) if rows == "unit" else W
    _, _, right = np.linalg.svd(stored, full_matrices=False)
    for rank in (1, 4, 9):
        bottom = bottom_space(W, rank, rows=rows)
        naive.check_kind(bottom.basis, W, "float64")
        assert bottom.basis.shape == (shape[1], rank)
        assert naive.sine(bottom.basis, right[9 - rank :].T) < 1e-9
    norms = np.linalg.norm(stored @ bottom.basis, axis=0)
    assert (np.diff(norms) > 0).all()


def test_bottom_space_stays_where_neurons_are() -> None:
    W = tied(5).astype(np.float32)
    basis = bottom_space(W.astype(np.float64), 5).basis
    assert naive.sine(basis, np.linalg.svd(W.astype(np.float64))[2][:5].T) < 1e-6


@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize("dtype", naive.DTYPES)
def test_random_space_is_orthonormal_and_seeded(wrap: Callable, dtype: str) -> None:
    space = principal_space(wrap(naive.structured("gaussian", 15, 10, 14, dtype)))
    one, same, other = (random_space(space, seed=seed).basis for seed in (1, 1, 2))
    naive.check_kind(one, space.basis, dtype)
    assert one.shape == space.basis.shape
    naive.check_close(naive.plain(one).T @ naive.plain(one), np.eye(space.rank), 1e-6, 1.0)
    assert (one == same).all()
    assert (one != other).any()


def test_random_space_is_uniform() -> None:
    """E UUᵀ = (r/d) I."""
    model = Subspace(np.eye(6)[:, :2])
    mean = np.mean([naive.span(random_space(model, seed=seed).basis) for seed in range(1500)], axis=0)
    naive.check_close(mean, np.eye(6) / 3, 0.05, 1.0)


def test_the_share_of_a_space_of_half_the_trace() -> None:
    """λ = 4, 3, 2, 1: shares 0.4, 0.7, 0.9, 1."""
    W = naive.with_spectrum(np.random.default_rng(16), 8, 6, np.array([4.0, 3.0, 2.0, 1.0]))
    for eta, rank, share in ((0.1, 1, 0.4), (0.5, 2, 0.7), (0.75, 3, 0.9), (0.95, 4, 1.0)):
        space = principal_space(W, eta=eta)
        assert space.rank == rank
        naive.check_close(space.share, share, 1e-12)
        naive.check_close(space.eigenvalues, [4, 3, 2, 1][:rank], 1e-12)


@pytest.mark.gpu
@pytest.mark.parametrize("method", [*ROUTES, "randomized"])
@pytest.mark.parametrize("dtype", naive.DTYPES)
def test_space_on_cuda(cuda: torch.device, dtype: str, method: str) -> None:
    W = torch.from_numpy(decaying(17, n=300, d=280).astype(dtype))
    here, there, again = (principal_space(x, eta=0.6, method=method) for x in (W, W.to(cuda), W.to(cuda)))
    assert there.basis.device.type == "cuda"
    assert there.rank == here.rank
    assert naive.sine(there.basis, here.basis) < 1e-4
    assert torch.equal(there.basis, again.basis)
