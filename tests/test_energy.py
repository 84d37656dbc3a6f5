"""HE_s, its gradient and its change against 50 digits; its symmetries; its references."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphere_theory import energy, energy_change, energy_gradient, simplex_energy, uniform_energy
from sphere_theory.errors import CoincidentNeuronsError

TOLERANCE = {"float32": 1e-6, "float64": 1e-9}
ANGLES = {"float32": (1e-1, 1e-2, 1e-4, 1e-6), "float64": (1e-1, 1e-4, 1e-6, 1e-9, 1e-12)}
NEAR = [(dtype, angle) for dtype, angles in ANGLES.items() for angle in angles]

seeds = st.integers(0, 2**32 - 1)
exponents = st.sampled_from(naive.EXPONENTS)


def check_energy(W: Any, tolerance: float, exponents: tuple[float, ...] = naive.EXPONENTS) -> None:
    """Relative to HE_s; for s = 0, where logarithms cancel, to n(n−1) if that is more."""
    stored = naive.exact(W)
    for s in exponents:
        terms = naive.terms(stored, s)
        scale = abs(terms.sum()) if s else max(abs(terms.sum()), terms.size)
        naive.check_close(energy(W, s=s), terms.sum(), tolerance, scale)


# --- accuracy ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", naive.DTYPES)
@pytest.mark.parametrize("structure", naive.STRUCTURES)
def test_energy_in_50_digits(structure: str, dtype: str) -> None:
    for seed, (n, d) in enumerate([(2, 3), (9, 4), (14, 24)]):
        check_energy(naive.structured(structure, seed, n, d, dtype), TOLERANCE[dtype])


@pytest.mark.parametrize(("dtype", "angle"), NEAR)
def test_energy_of_a_near_pair(dtype: str, angle: float) -> None:
    W = naive.near(np.random.default_rng(1), 6, 7, angle).astype(dtype)
    check_energy(W, TOLERANCE[dtype])


@pytest.mark.parametrize(("dtype", "spread"), NEAR)
def test_energy_of_a_cluster(dtype: str, spread: float) -> None:
    rng = np.random.default_rng(2)
    W = (rng.normal(size=8) + spread * rng.normal(size=(7, 8))) * rng.uniform(1, 100, size=(7, 1))
    check_energy(W.astype(dtype), TOLERANCE[dtype])


def test_energy_of_float64_rows_at_the_ends_of_the_range() -> None:
    rng = np.random.default_rng(3)
    W = rng.normal(size=(6, 5)) * np.array([1e300, 1e-300, 1.0, 1e150, 1e-308, 1e-320])[:, None]
    check_energy(W, 1e-9)
    check_energy(naive.near(rng, 4, 5, 1e-6) * 1e300, 1e-9)


def test_energy_of_denormal_float32_rows() -> None:
    W = (
        np.random.default_rng(4).normal(size=(6, 5))
        * np.array([1, 1e-38, 1e-40, 1e-42, 1e-43, 1e30])[:, None]
    )
    check_energy(W.astype(np.float32), 1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_energy_of_half_precision_is_of_the_stored_numbers(dtype: torch.dtype) -> None:
    W = torch.from_numpy(naive.near(np.random.default_rng(5), 8, 12, 0.03)).to(dtype)
    check_energy(W, 1e-6)


@pytest.mark.parametrize("dtype", naive.DTYPES)
def test_energy_of_the_smallest_layers(dtype: str) -> None:
    ones = np.ones((1, 1), dtype)
    assert energy(ones) == 0
    assert energy(np.ones((1, 5), dtype), s=0) == 0
    naive.check_close(energy(np.array([[3.0], [-0.5]], dtype)), 1.0, 1e-15)  # d = 1: antipodal or coincident
    assert energy(np.array([[3.0], [0.5]], dtype)) == math.inf
    check_energy(np.array([[1, 0], [1, 1e-3]], dtype), TOLERANCE[dtype])


VIEWS: dict[str, Callable[[np.ndarray], Any]] = {
    "transposed": lambda W: np.asfortranarray(W),
    "every second row and column": lambda W: np.kron(W, np.ones((2, 2)))[::2, ::2].astype(W.dtype),
    "reversed": lambda W: np.ascontiguousarray(W[::-1, ::-1])[::-1, ::-1],
    "read-only": lambda W: np.frombuffer(W.tobytes(), W.dtype).reshape(W.shape),
    "tensor": torch.from_numpy,
    "transposed tensor": lambda W: torch.from_numpy(W.T.copy()).T,
    "parameter": lambda W: torch.nn.Parameter(torch.from_numpy(W)),
}


@pytest.mark.parametrize("view", VIEWS)
def test_energy_does_not_depend_on_the_layout(view: str) -> None:
    W = naive.structured("gaussian", 6, 9, 5, "float32")
    seen = VIEWS[view](W)
    before = seen.tolist()
    naive.check_close(energy(seen), energy(W), 1e-7)
    gradient = energy_gradient(seen)
    naive.check_close(naive.plain(gradient), energy_gradient(W), 1e-5, 1.0)
    naive.check_kind(gradient, seen.data if isinstance(seen, torch.Tensor) else seen, "float32")
    assert seen.tolist() == before


@pytest.mark.parametrize("dtype", naive.DTYPES)
@pytest.mark.parametrize("s", naive.EXPONENTS)
def test_energy_over_many_tiles(s: float, dtype: str) -> None:
    """1500 > two tiles of 512; the last rows crowd around the first, so some tiles are recomputed whole."""
    rng = np.random.default_rng(7)
    W = rng.normal(size=(1500, 64))
    W[1300:] = W[:200] * rng.uniform(1, 3, size=(200, 1)) + 1e-3 * rng.normal(size=(200, 64))
    W[400:600] = W[0] + 1e-2 * rng.normal(size=(200, 64))
    W = W.astype(dtype)
    terms = naive.terms(naive.plain(W), s)
    naive.check_close(energy(W, s=s), terms.sum(), TOLERANCE[dtype], abs(terms).sum())


@pytest.mark.parametrize("mirrored", [False, True], ids=["one way", "two ways"])
@pytest.mark.parametrize(
    ("n", "d"),
    [(2, 768), (2, 14336), (3, 4096), (16, 768), (64, 4096), (128, 14336), (300, 4096), (512, 768)],
)
def test_energy_of_a_quantised_layer(n: int, d: int, mirrored: bool) -> None:
    """Two values ±c: the roundings of a long float32 sum go one way, or two ways that cancel in a mean."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        W = np.where(rng.random((n, d)) < 0.08, -1, 1) * rng.uniform(1, 2)
        W = W * np.where(rng.random((n, 1)) < 0.5, -1, 1) if mirrored else W
        W = W.astype(np.float32)
        naive.check_close(energy(W), energy(W.astype(np.float64)), 1e-6)


def quantised(seed: int, levels: tuple[int, ...], mirrored: bool) -> np.ndarray:
    """Neurons of about one direction, or of it and its opposite, and a first one across it."""
    rng = np.random.default_rng(seed)
    W = np.where(rng.random((300, 4096)) < 0.08, -1, 1) * rng.choice(levels, size=(300, 4096))
    W = W * rng.choice([-1, 1], size=(300, 1)) if mirrored else W
    W[0, ::2] *= -1
    return (W * rng.uniform(1, 2)).astype(np.float32)


@pytest.mark.parametrize("mirrored", [False, True], ids=["one way", "two ways"])
@pytest.mark.parametrize("levels", [(1,), (0, 1, 1, 1, 1, 1), (1, 2, 3)], ids=["binary", "ternary", "few"])
def test_energy_of_a_quantised_layer_whose_first_neuron_is_apart(
    levels: tuple[int, ...], mirrored: bool
) -> None:
    """Roundings that cancel in a sum with signs taken from the first neuron, and not in the energy."""
    for seed in range(6):
        W = quantised(seed, levels, mirrored)
        naive.check_close(energy(W), energy(W.astype(np.float64)), 3e-7)


def test_a_plain_float32_product_would_lose_a_quantised_layer() -> None:
    """The check above has power."""
    W = torch.from_numpy(quantised(2, (1,), False))
    norms = W.double().norm(dim=1)

    def total(gram: torch.Tensor) -> float:
        squared = 2 - 2 * gram / norms / norms[:, None]
        return float(squared[~torch.eye(300, dtype=torch.bool)].rsqrt().sum())

    exact = total(W.double() @ W.double().T)
    naive.check_close(energy(W), exact, 1e-6)
    with pytest.raises(AssertionError, match="off by"):
        naive.check_close(total((W @ W.T).double()), exact, 1e-6)


@pytest.mark.parametrize(("dtype", "off"), [("float32", 1e-3), ("float32", 1e-5), ("float64", 1e-9)])
def test_logarithmic_energy_of_pairs_near_60_degrees(dtype: str, off: float) -> None:
    """D is near 1 there: the rounding of D is more than log D."""
    W = naive.near(np.random.default_rng(26), 2, 50, math.pi / 3 + off)
    check_energy(W.astype(dtype), TOLERANCE[dtype], (0.0,))


@pytest.mark.parametrize("call", [energy, energy_gradient], ids=["energy", "gradient"])
@pytest.mark.parametrize("dtype", naive.DTYPES)
def test_no_array_of_n_by_n(dtype: str, call: Callable) -> None:
    W = torch.from_numpy(naive.structured("positive", 27, 1500, 6, dtype))
    with naive.Recorded() as recorded:
        call(W)
    assert recorded.largest <= 1024**2, f"expected tiles, got {recorded.largest} entries (n² = {1500**2})"


def test_energy_is_the_same_bits_twice() -> None:
    W = torch.from_numpy(naive.structured("gaussian", 8, 600, 40, "float32"))
    assert energy(W) == energy(W)
    assert torch.equal(energy_gradient(W), energy_gradient(W))


def test_energy_ignores_the_callers_precision_settings() -> None:
    W = torch.from_numpy(naive.structured("gaussian", 9, 40, 30, "float32")).requires_grad_()
    expected = energy(W)
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert energy(W) == expected
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert not energy_gradient(W).requires_grad


# --- coincidence ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", naive.DTYPES)
@pytest.mark.parametrize("s", naive.EXPONENTS)
def test_coincident_neurons(s: float, dtype: str) -> None:
    rows = np.random.default_rng(10).normal(size=(652, 6))
    rows[650:] = [1, 2, 3, 4, 5, 6], [3, 6, 9, 12, 15, 18]
    W = rows.astype(dtype)
    assert energy(W, s=s) == math.inf
    message = naive.COINCIDENT.format(650, 651)
    naive.check_refused(lambda: energy_gradient(W, s=s), CoincidentNeuronsError, message)


@pytest.mark.parametrize("far", [False, True], ids=["one tile", "two tiles"])
def test_collinear_rows_have_infinite_energy(far: bool) -> None:
    rng = np.random.default_rng(11)
    for _ in range(60):
        row = rng.integers(1, 1000, size=rng.integers(2, 60)).astype(float)
        filler = rng.normal(size=(600 if far else 1, len(row)))
        multiple = rng.integers(3, 2000)
        got = energy(np.vstack([row, filler, multiple * row]))
        assert got == math.inf, f"expected inf for w and {multiple}·w, d = {len(row)}, got {got}"


@pytest.mark.parametrize("dtype", naive.DTYPES)
def test_rows_that_differ_in_the_last_bit_do_not_coincide(dtype: str) -> None:
    rng = np.random.default_rng(12)
    for d in (2, 3, 10, 100):
        row = rng.normal(size=d).astype(dtype)
        other = row.copy()
        other[0] = np.nextafter(other[0], np.inf, dtype=dtype)
        W = np.stack([row, other])
        check_energy(W, 1e-6, (0.5, 1.0))
        assert np.isfinite(energy_gradient(W.astype(np.float64))).all()


# --- gradient ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-6), ("float64", 1e-11)])
@pytest.mark.parametrize("structure", naive.STRUCTURES)
def test_gradient_in_50_digits(structure: str, dtype: str, tolerance: float) -> None:
    for seed, s in enumerate(naive.EXPONENTS):
        W = naive.structured(structure, seed, 7, 5, dtype)
        expected = naive.gradient(naive.exact(W), s)
        got = energy_gradient(W, s=s)
        naive.check_kind(got, W, dtype)
        naive.check_close(got, expected, tolerance, naive.norms(expected)[:, None])  # row by row


@pytest.mark.parametrize(("dtype", "angle"), NEAR)
def test_gradient_of_a_near_pair(dtype: str, angle: float) -> None:
    W = naive.near(np.random.default_rng(13), 5, 6, angle).astype(dtype)
    for s in (0.0, 1.0):
        expected = naive.gradient(naive.exact(W), s)[[0, -1]]
        naive.check_close(
            energy_gradient(W, s=s)[[0, -1]], expected, TOLERANCE[dtype], naive.norms(expected)[:, None]
        )


def gradient_by_autograd(W: np.ndarray, s: float) -> np.ndarray:
    leaf = torch.from_numpy(W.astype(np.float64)).requires_grad_()
    units = leaf / leaf.norm(dim=1, keepdim=True)
    i, j = torch.triu_indices(len(W), len(W), 1)
    D = (units[i] - units[j]).norm(dim=1)
    (2 * (D**-s if s else -D.log()).sum()).backward()
    return leaf.grad.numpy()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-10)])
@pytest.mark.parametrize("s", naive.EXPONENTS)
def test_gradient_over_many_tiles(s: float, dtype: str, tolerance: float) -> None:
    W = np.random.default_rng(14).normal(size=(1100, 10))
    W[1090] = W[3] + 1e-2
    W[600:700] = W[5] + 0.1 * W[600:700]
    W = W.astype(dtype)
    expected = gradient_by_autograd(W, s)
    naive.check_close(energy_gradient(W, s=s), expected, tolerance, naive.norms(expected)[:, None])


@given(naive.weights(without=("huge", "tiny")), exponents)
def test_gradient_is_tangent(W: np.ndarray, s: float) -> None:
    gradient = energy_gradient(W.astype(np.float64), s=s)
    lengths = np.linalg.norm(gradient, axis=1) * np.linalg.norm(W, axis=1)
    along = (gradient * W).sum(axis=1)
    assert (abs(along) <= 1e-14 * lengths).all(), f"expected w·∇HE = 0, got cosines {along / lengths}"


@given(naive.weights(without=("huge", "tiny")), exponents)
def test_gradient_conserves_angular_momentum(W: np.ndarray, s: float) -> None:
    """Wᵀ∇HE is symmetric, because HE(W R) = HE(W) for every rotation R."""
    gradient = energy_gradient(W.astype(np.float64), s=s)
    moment = W.astype(np.float64).T @ gradient
    scale = (naive.norms(W.astype(np.float64)) * naive.norms(gradient)).sum()
    assert abs(moment - moment.T).max() <= 1e-11 * scale, f"expected a symmetric WᵀG, got {moment}"


def remainder_slope(gradient: np.ndarray, W: np.ndarray, direction: np.ndarray, s: float) -> float:
    """Slope of log|HE(W + tE) − HE(W) − t⟨G, E⟩| over log t."""
    steps = np.logspace(-4, -6, 5)
    first = (gradient * direction).sum()
    left = [abs(energy_change(W, t * direction, s=s).change - t * first) for t in steps]
    return float(np.polyfit(np.log(steps), np.log(left), 1)[0])


@given(seeds, exponents)
def test_taylor_remainder_is_of_second_order(seed: int, s: float) -> None:
    rng = np.random.default_rng(seed)
    W, direction = rng.normal(size=(2, 8, 6))
    slope = remainder_slope(energy_gradient(W, s=s), W, direction, s)
    assert 1.8 <= slope <= 2.2, f"expected slope 2, got {slope:.3f}"


def test_taylor_remainder_of_a_wrong_gradient_is_of_first_order() -> None:
    rng = np.random.default_rng(15)
    W, direction = rng.normal(size=(2, 8, 6))
    slope = remainder_slope(1.01 * energy_gradient(W), W, direction, 1.0)
    assert slope < 1.5, f"expected slope 1, got {slope:.3f}"


# --- change --------------------------------------------------------------------------------------


def check_change(W: np.ndarray, edit: np.ndarray, s: float) -> None:
    before, after = (naive.terms(naive.exact(W) + x * naive.exact(edit), s) for x in (0, 1))
    got = energy_change(W, edit, s=s)
    naive.check_close(got.before, before.sum(), 1e-9, abs(before).sum())
    naive.check_close(got.after, after.sum(), 1e-9, abs(after).sum())
    naive.check_close(got.change, (after - before).sum(), 1e-8, abs(after - before).sum())


@pytest.mark.parametrize("dtype", naive.DTYPES)
@pytest.mark.parametrize("size", [1e-12, 1e-8, 1e-4, 1e-1, 1.0, 10.0])
@pytest.mark.parametrize("s", [0.0, 1.0, 3.7])
def test_change_in_50_digits(s: float, size: float, dtype: str) -> None:
    for structure in ("gaussian", "positive", "near pair", "tight cluster", "mixed scales"):
        W = naive.structured(structure, 16, 6, 5, dtype)
        edit = np.random.default_rng(17).normal(size=W.shape) * np.linalg.norm(W, axis=1)[:, None] * size
        check_change(W, edit.astype(dtype), s)


@pytest.mark.parametrize("angle", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("s", [0.0, 1.0])
def test_change_of_an_edit_that_nearly_closes_a_pair_or_opens_one(s: float, angle: float) -> None:
    closed = naive.near(np.random.default_rng(28), 5, 4, angle)
    edit = closed - naive.structured("gaussian", 29, 5, 4)
    check_change(closed - edit, edit, s)
    check_change(closed, -edit, s)


def test_change_of_no_edit_is_zero() -> None:
    W = naive.structured("near pair", 18, 6, 5)
    assert energy_change(W, 0 * W).change == 0


def test_subtracting_energies_would_lose_a_small_change() -> None:
    """The check above has power: the difference of two energies fails it."""
    rng = np.random.default_rng(19)
    W, edit = rng.normal(size=(2, 20, 10))
    edit *= 1e-13
    true = naive.HE(naive.exact(W) + naive.exact(edit)) - naive.HE(naive.exact(W))
    with pytest.raises(AssertionError, match="off by"):
        naive.check_close(energy(W + edit) - energy(W), true, 1e-2)
    naive.check_close(energy_change(W, edit).change, true, 1e-8)


# --- symmetry ------------------------------------------------------------------------------------


@given(naive.weights(without=("near pair",)), seeds, exponents)
def test_energy_sees_directions_only(W: np.ndarray, seed: int, s: float) -> None:
    rng = np.random.default_rng(seed)
    W = W.astype(np.float64)
    n, d = W.shape
    twins = {
        "scaled": W * 10.0 ** rng.uniform(-20, 20, size=(n, 1)),
        "permuted": W[rng.permutation(n)],
        "rotated": W @ naive.orthonormal(rng, d, d),
    }
    expected, scale = energy(W, s=s), abs(naive.terms(W, s)).sum()
    for twin in twins.values():
        naive.check_close(energy(twin, s=s), expected, 1e-9, scale)


@given(seeds)
def test_energy_is_not_invariant_under_left_multiplication(seed: int) -> None:
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(8, 3)) * np.arange(1, 9)[:, None]
    moved = max(abs(energy(naive.orthonormal(rng, 8, 8) @ W) / energy(W) - 1) for _ in range(5))
    assert moved > 1e-2, f"expected HE(QW) ≠ HE(W), got a relative difference of {moved:.3g}"


# --- references ----------------------------------------------------------------------------------


@pytest.mark.parametrize("s", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("d", [4, 5, 32, 768, 14336])
def test_uniform_energy_is_the_integral(s: float, d: int) -> None:
    """E D^(−s) over the angle θ of two uniform directions, of density ∝ sin^(d−2) θ."""
    width = min(mpmath.pi / 2, 14 / mpmath.sqrt(d))
    grid = [mpmath.pi / 2 + k * width / 4 for k in range(-4, 5)]

    def density(angle: mpmath.mpf) -> mpmath.mpf:
        return mpmath.sin(angle) ** (d - 2)

    def term(angle: mpmath.mpf) -> mpmath.mpf:
        D = 2 * mpmath.sin(angle / 2)
        return D**-s if s else -mpmath.log(D)

    mean = mpmath.quad(lambda a: term(a) * density(a), grid) / mpmath.quad(density, grid)
    naive.check_close(uniform_energy(7, d, s=s), 42 * mean, 1e-8)


@pytest.mark.parametrize("s", [0.0, 1.0])
@pytest.mark.parametrize("d", [3, 6])
def test_uniform_energy_is_the_mean_over_random_layers(s: float, d: int) -> None:
    values = [energy(naive.structured("gaussian", seed, 20, d), s=s) for seed in range(300)]
    error = np.std(values) / math.sqrt(len(values))
    assert abs(np.mean(values) - uniform_energy(20, d, s=s)) < 5 * error + 1e-12


def test_uniform_energy_on_the_circle() -> None:
    assert uniform_energy(2, 2, s=0) == 0  # ∫ log(2 sin θ/2) over the circle
    mean = mpmath.quad(lambda a: (2 * mpmath.sin(a)) ** -0.5, [0, mpmath.pi / 2]) * 2 / mpmath.pi
    naive.check_close(uniform_energy(2, 2, s=0.5), 2 * mean, 1e-8)


def test_reductions_divide_the_sum() -> None:
    W = naive.structured("gaussian", 20, 9, 6)
    total = energy(W, s=2)
    assert energy(W, s=2, reduction="mean") == total / 72
    assert energy(W, s=2, reduction="uniform") == total / uniform_energy(9, 6, s=2)


@pytest.mark.parametrize("s", naive.EXPONENTS)
@pytest.mark.parametrize("n", [2, 3, 8, 40])
def test_simplex_reaches_its_energy(n: int, s: float) -> None:
    rng = np.random.default_rng(n)
    W = naive.simplex(n) @ naive.orthonormal(rng, n, n) * rng.uniform(1, 9, size=(n, 1))
    bound = simplex_energy(n, s=s)
    naive.check_close(energy(W, s=s), bound, 1e-12, abs(bound))
    if s:
        assert np.abs(energy_gradient(W, s=s)).max() < 1e-11


@given(naive.weights(n=(3, 12)), exponents)
def test_no_layer_is_below_the_simplex(W: np.ndarray, s: float) -> None:
    n = len(W)
    assert energy(W, s=s) > simplex_energy(n, s=s) - 1e-6 * n * n


def test_only_a_simplex_reaches_the_bound() -> None:
    W = naive.simplex(5)
    W[0, 0] += 0.5
    assert energy(W) > simplex_energy(5) * (1 + 1e-4)


# --- on the GPU ----------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", naive.DTYPES)
def test_energy_on_cuda(cuda: torch.device, dtype: str) -> None:
    W = np.random.default_rng(24).normal(size=(3000, 96))
    W[2900:] = W[:100] + 1e-4 * np.random.default_rng(25).normal(size=(100, 96))
    W = W.astype(dtype)
    there = torch.from_numpy(W).to(cuda)
    naive.check_close(energy(there), energy(W), 2 * TOLERANCE[dtype])
    assert energy(there) == energy(there)
    gradient = energy_gradient(there)
    assert gradient.device.type == "cuda"
    assert torch.equal(gradient, energy_gradient(there))
    expected = energy_gradient(W)
    naive.check_close(naive.plain(gradient), expected, 1e4 * TOLERANCE[dtype] / 100, np.linalg.norm(expected))
