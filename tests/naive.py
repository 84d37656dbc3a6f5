"""Slow, literal oracles and the matrices they are asked about.

One formula of theory.md a function, without tiles, products or shortcuts. The same line serves
two kinds of numbers: a float64 array is computed in float64, and what `exact` returns in 50 digits.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sphere_theory import SphereTheoryError
from sphere_theory.models.minilm import MINILM_PACKAGE

MP = mpmath.MPContext()  # a context of its own: nobody else's precision changes
MP.dps = 50

try:
    _MINILM = bool(importlib.metadata.files(MINILM_PACKAGE))
except importlib.metadata.PackageNotFoundError:
    _MINILM = False
needs_minilm = pytest.mark.skipif(not _MINILM, reason=f"{MINILM_PACKAGE} is not installed")

DTYPES = {"float32": np.float32, "float64": np.float64}
EXPONENTS = (0.0, 0.5, 1.0, 2.0, 3.7)


def _either(exact_function: Callable, float_function: Callable) -> Callable:
    many = np.frompyfunc(exact_function, 1, 1)
    return lambda x: many(x) if np.asarray(x).dtype == object else float_function(x)


sqrt, log = _either(MP.sqrt, np.sqrt), _either(MP.log, np.log)
sin, arcsin = _either(MP.sin, np.sin), _either(MP.asin, np.arcsin)
cos = _either(MP.cos, np.cos)


def plain(W: Any) -> np.ndarray:
    """Any array as numpy float64, which holds every input format exactly."""
    return (
        W.detach().cpu().double().numpy() if isinstance(W, torch.Tensor) else np.asarray(W, dtype=np.float64)
    )


def exact(W: Any) -> np.ndarray:
    """The stored numbers, to be computed with in 50 digits."""
    return np.frompyfunc(MP.mpf, 1, 1)(plain(W))


# --- the sphere ---------------------------------------------------------------------------------


def norms(W: np.ndarray) -> np.ndarray:
    return sqrt((W * W).sum(axis=1))


def directions(W: np.ndarray) -> np.ndarray:
    return W / norms(W)[:, None]


def distances(W: np.ndarray) -> np.ndarray:
    """D, (n, n)."""
    U = directions(W)
    return np.stack([norms(U - u) for u in U])


def others(values: np.ndarray) -> np.ndarray:
    """Entries off the diagonal, (n, n−1)."""
    n = len(values)
    return values[~np.eye(n, dtype=bool)].reshape(n, n - 1)


def terms(W: np.ndarray, s: float) -> np.ndarray:
    """D^(−s), or log(1/D) for s = 0, over ordered pairs, (n, n−1)."""
    D = others(distances(W))
    return D**-s if s else -log(D)


def HE(W: np.ndarray, s: float = 1.0) -> Any:
    return terms(W, s).sum()


def factor(s: float) -> float:
    return 2 * s if s else 2.0


def gradient(W: np.ndarray, s: float = 1.0) -> np.ndarray:
    """(factor/‖w_i‖) Σ_{j≠i} (û_j − c_ij û_i) D_ij^(−s−2)."""
    U, D = directions(W), distances(W)
    rows = []
    for i, u in enumerate(U):
        pulls = [(v - (u * v).sum() * u) * D[i, j] ** (-s - 2) for j, v in enumerate(U) if j != i]
        rows.append(np.sum(pulls, axis=0) if pulls else 0 * u)
    return factor(s) * np.stack(rows) / norms(W)[:, None]


def min_separation(W: np.ndarray) -> tuple[Any, set[tuple[int, int]]]:
    """The smallest distance, and all pairs that have it to a relative 1e-9."""
    D = distances(W)
    pairs = [(i, j) for i in range(len(D)) for j in range(i + 1, len(D))]
    least = min(D[pair] for pair in pairs)
    return least, {pair for pair in pairs if D[pair] <= least * (1 + 1e-9)}


def gram(W: np.ndarray) -> np.ndarray:
    return np.array([[(a * b).sum() for b in W] for a in W])


# --- the bound ----------------------------------------------------------------------------------


def frobenius(matrix: np.ndarray) -> Any:
    return sqrt((matrix * matrix).sum())


def _constant(distance: np.ndarray, lengths: np.ndarray, s: float) -> Any:
    sums = (distance ** (-s - 1) * sqrt(np.maximum(1 - distance * distance / 4, 0))).sum(axis=1)
    return frobenius(factor(s) * sums / lengths)


def K_tri(W: np.ndarray, s: float = 1.0) -> Any:
    return _constant(others(distances(W)), norms(W), s)


def angles(distance: np.ndarray) -> np.ndarray:
    return 2 * arcsin(np.minimum(distance / 2, 1))


def turns(W: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """δ_i, the angle between w_i and w_i + Δw_i."""
    return angles(norms(directions(W) - directions(W + delta)))


def gaps(W: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """φ_ij = θ_ij − δ_i − δ_j, (n, n−1)."""
    turned = turns(W, delta)
    return others(angles(distances(W)) - turned[:, None] - turned)


def reaches(W: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """m_i, the distance from the origin to the segment [w_i, w_i + Δw_i]."""
    squared = (delta * delta).sum(axis=1)
    along = -(W * delta).sum(axis=1)
    nearest = [min(max(a / q, 0 * q), 1 + 0 * q) if q else q for a, q in zip(along, squared, strict=True)]
    return norms(W + np.array(nearest)[:, None] * delta)


def K_cert(W: np.ndarray, delta: np.ndarray, s: float = 1.0) -> Any:
    return _constant(2 * sin(gaps(W, delta) / 2), reaches(W, delta), s)


def pulls(W: np.ndarray, s: float = 1.0) -> np.ndarray:
    """factor Σ_{j≠i} h(θ_ij), h(θ) = D^(−s−1) cos(θ/2), (n,)."""
    D = others(distances(W))
    return factor(s) * (D ** (-s - 1) * sqrt(np.maximum(1 - D * D / 4, 0))).sum(axis=1)


def end_bounds(W: np.ndarray, delta: np.ndarray, s: float = 1.0) -> tuple[Any, Any]:
    """How far HE can fall and rise: Σ δ_i times the pulls at W, and at W + ΔW."""
    turned = turns(W, delta)
    return (turned * pulls(W, s)).sum(), (turned * pulls(W + delta, s)).sum()


def K_star(W: np.ndarray, delta: np.ndarray, s: float = 1.0) -> Any:
    end = W + delta if HE(W + delta, s) > HE(W, s) else W
    return frobenius(pulls(end, s) / np.maximum(norms(W), norms(W + delta)))


def _q(phi: np.ndarray, s: float) -> np.ndarray:
    return (s or 1) * (2 * sin(phi / 2)) ** (-s - 2) * (1 + (s + 2) * cos(phi / 2) ** 2)


def enclosure(W: np.ndarray, delta: np.ndarray, s: float = 1.0) -> tuple[Any, Any]:
    """Σ δ_i⟨G_i, τ_i⟩, and ½ Σ q(φ_ij)(δ_i + δ_j)², for φ_ij > 0."""
    U, V, turned = directions(W), directions(W + delta), turns(W, delta)
    across = V - (U * V).sum(axis=1)[:, None] * U
    tau = across / norms(across)[:, None]
    G = gradient(W, s) * norms(W)[:, None]
    both = others(turned[:, None] + turned)
    return (turned * (G * tau).sum(axis=1)).sum(), (_q(gaps(W, delta), s) * both * both).sum() / 2


def largest_change(W: np.ndarray, rho: Any, s: float = 1.0) -> Any:
    """κ K_grad ρ + 2κ²ρ²Q."""
    lengths = norms(W)
    x = rho / min(lengths)
    kappa = arcsin(np.array([x]))[0] / x
    reach = kappa * rho * sqrt(1 / lengths[:, None] ** 2 + 1 / lengths**2)
    curvature = _q(others(angles(distances(W)) - reach), s).sum(axis=1) / lengths**2
    return kappa * frobenius(gradient(W, s)) * rho + 2 * kappa**2 * rho**2 * max(curvature)


def strength(delta: np.ndarray, X: np.ndarray) -> float:
    """σ² is the smallest eigenvalue of X Xᵀ compressed to the row space of ΔW."""
    values, vectors = np.linalg.eigh(delta.T @ delta)
    Q = vectors[:, values > 1e-12 * values[-1]]
    return float(np.sqrt(max(np.linalg.eigvalsh(Q.T @ X @ X.T @ Q)[0], 0.0)))


# --- the operator -------------------------------------------------------------------------------


def _projector(W: np.ndarray, alpha: float, rank: Callable[[np.ndarray], int]) -> np.ndarray:
    values, vectors = np.linalg.eigh(W.T @ W)
    values, vectors = values[::-1], vectors[:, ::-1]
    U = vectors[:, : rank(np.cumsum(values) / values.sum())]
    return np.eye(W.shape[1]) - alpha * U @ U.T


def paper_projector(W: np.ndarray, eta: float, alpha: float) -> np.ndarray:
    """d×d, the smallest r whose share is ≥ η."""
    return _projector(W, alpha, lambda shares: int(np.argmax(shares >= eta)) + 1)


def released_projector(W: np.ndarray, eta: float, alpha: float) -> np.ndarray:
    """d×d as in the authors' code: rows normalised, (count of shares ≤ η) + 1 columns; slicing cuts η = 1."""
    return _projector(directions(W), alpha, lambda shares: int((shares <= eta).sum()) + 1)


def span(basis: Any) -> np.ndarray:
    """The orthogonal projector on a basis's columns."""
    Q = np.linalg.qr(plain(basis))[0]
    return Q @ Q.T


def sine(one: Any, other: Any) -> float:
    """Sine of the largest principal angle between two subspaces of one dimension."""
    return float(np.linalg.norm(span(one) - span(other), 2))


# --- editors ------------------------------------------------------------------------------------
# The released formulas, each with the full d×d matrices that they are written in. A batch is (K, V); an
# oracle returns the weights after every batch.

Batches = list[tuple[np.ndarray, np.ndarray]]


def _stream(W: np.ndarray, batches: Batches, step: Callable[..., np.ndarray]) -> list[np.ndarray]:
    found = []
    for K, V in batches:
        W = W + step(W, K, V)
        found.append(W)
    return found


def memit_edits(W, C, batches, ridge, damping=0.0, remembers=False):
    """MEMIT, and MEMIT-seq where it remembers: also ENCORE."""
    A = ridge * C + damping * np.eye(len(C))
    past = np.zeros_like(C)

    def step(W, K, V):
        nonlocal past
        delta = (V - W @ K) @ np.linalg.solve(A + past + K @ K.T, K).T
        past = past + remembers * K @ K.T
        return delta

    return _stream(W, batches, step)


def rome_edits(W, C, batches, damping=0.0):
    """One key at a time, each with the weights as they are by then."""
    C = C + damping * np.eye(len(C))

    def step(W, K, V):
        start = W
        for k, v in zip(K.T, V.T, strict=True):
            u = np.linalg.solve(C, k)
            W = W + np.outer(v - W @ k, u) / (k @ u)
        return W - start

    return _stream(W, batches, step)


def emmet_edits(W, C, batches, damping=0.0):
    def step(W, K, V):
        Y = np.linalg.solve(C + damping * np.eye(len(C)), K)
        return (V - W @ K) @ np.linalg.inv(K.T @ Y) @ Y.T

    return _stream(W, batches, step)


def null_projector(C, threshold):
    """P0, d×d."""
    values, vectors = np.linalg.eigh(C)
    Q = vectors[:, values < threshold]
    return Q @ Q.T


def alphaedit_edits(W, C, batches, l2, threshold):
    P = null_projector(C, threshold)
    cache = np.zeros_like(C)

    def step(W, K, V):
        nonlocal cache
        Y = np.linalg.solve(P @ (K @ K.T + cache) + l2 * np.eye(len(C)), P @ K @ (V - W @ K).T)
        cache = cache + K @ K.T
        return Y.T

    return _stream(W, batches, step)


def evoedit_edits(W, C, batches, l2, threshold):
    P = null_projector(C, threshold)

    def step(W, K, V):
        nonlocal P
        delta = (V - W @ K) @ np.linalg.solve(K.T @ P @ K + l2 * np.eye(K.shape[1]), K.T @ P)
        Q = np.linalg.svd(P @ K, full_matrices=False)[0]
        P = P - Q @ Q.T
        return delta

    return _stream(W, batches, step)


def rlsedit_edits(W, C, batches, ridge, damping):
    """The recursion of the paper, in C and in W."""
    inverse = np.linalg.inv(damping * np.eye(len(C)) + ridge * C)

    def step(W, K, V):
        nonlocal inverse
        S = np.eye(K.shape[1]) + K.T @ inverse @ K
        inverse = inverse - inverse @ K @ np.linalg.solve(S, K.T @ inverse)
        return (V - W @ K) @ K.T @ inverse

    return _stream(W, batches, step)


def rect_edits(W, C, batches, ridge, keep):
    def step(W, K, V):
        delta = memit_edits(W, C, [(K, V)], ridge)[0] - W
        ratio = np.abs(delta / W).ravel()
        kept = np.argsort(ratio)[len(ratio) - max(1, round(keep * len(ratio))) :]
        thin = np.zeros(len(ratio))
        thin[kept] = delta.ravel()[kept]
        return thin.reshape(W.shape)

    return _stream(W, batches, step)


def prune_edits(W, C, batches, ridge):
    first, limit = W, np.linalg.svd(W)[1][0]

    def step(W, K, V):
        total = memit_edits(W, C, [(K, V)], ridge)[0] - first
        A, sigma, B = np.linalg.svd(total, full_matrices=False)
        sigma = np.where(sigma > limit, np.log(sigma) - np.log(limit) + limit, sigma)
        return first + (A * sigma) @ B - W

    return _stream(W, batches, step)


def revive_edits(W, C, batches, ridge, rank):
    A, _, B = np.linalg.svd(W)
    left = np.eye(len(A)) - A[:, :rank] @ A[:, :rank].T
    right = np.eye(len(B)) - B[:rank].T @ B[:rank]
    return _stream(W, batches, lambda W, K, V: left @ (memit_edits(W, C, [(K, V)], ridge)[0] - W) @ right)


def finetune_edits(W, batches, steps, learning_rate, clamp=None, weight_decay=0.0):
    """torch's own Adam and autograd."""

    def step(W, K, V):
        start, K, V = (torch.from_numpy(np.array(x)) for x in (W, K, V))
        weight = start.clone().requires_grad_()
        adam = torch.optim.Adam([weight], lr=learning_rate, weight_decay=weight_decay)
        for _ in range(steps):
            adam.zero_grad()
            ((weight @ K - V) ** 2).mean().backward()
            adam.step()
            if clamp is not None:
                with torch.no_grad():
                    weight.copy_(torch.clamp(weight, start - clamp, start + clamp))
        return (weight.detach() - start).numpy()

    return _stream(W, batches, step)


def nas_edits(W, C, batches, ridge, norm=None):
    norm = np.sqrt(np.trace(W @ C @ W.T)) if norm is None else norm
    scaled = [(K, norm * V / np.linalg.norm(V, axis=0)) for K, V in batches]
    return memit_edits(W, C, scaled, ridge)


def polar(M):
    """The orthogonal factor of a regular matrix, by Newton's iteration."""
    for _ in range(60):
        M = (M + np.linalg.inv(M).T) / 2
    return M


def mose_edits(W, C, batches, ridge):
    return _stream(W, batches, lambda W, K, V: polar(V @ (W @ K).T + ridge * W @ C @ W.T) @ W - W)


def mose_right_edits(W, C, batches, ridge):
    def step(W, K, V):
        wanted = K + np.linalg.pinv(W) @ (V - W @ K)
        return W @ polar(wanted @ K.T + ridge * C) - W

    return _stream(W, batches, step)


def sphere_edits(W, C, batches, ridge, projector, remembers=False, current=False):
    """MEMIT with each ΔW times a dense P, of the pretrained or the current weights."""
    past: Batches = []
    P = projector(W)

    def step(W, K, V):
        A = ridge * C + sum((k @ k.T for k, _ in past), np.zeros_like(C))
        delta = memit_edits(W, A, [(K, V)], 1.0)[0] - W
        if remembers:
            past.append((K, V))
        return delta @ (projector(W) if current else P)

    return _stream(W, batches, step)


def control_edits(W, C, batches, ridge, operator):
    """MEMIT with each ΔW changed by a control: a function of ΔW and the pretrained weights."""
    start = W

    def step(W, K, V):
        return operator(memit_edits(W, C, [(K, V)], ridge)[0] - W, start)

    return _stream(W, batches, step)


def shrunk(delta, W, eta, alpha):
    """ΔW with the norm that the paper's P would leave it."""
    before = np.linalg.norm(delta)
    after = np.linalg.norm(delta @ paper_projector(W, eta, alpha))
    return delta * (after / before) if before else delta


def _paper_rank(W, eta):
    values = np.linalg.eigvalsh(W.T @ W)[::-1]
    return int(np.argmax(np.cumsum(values) / values.sum() >= eta)) + 1


def off_random_space(delta, W, eta, alpha, seed):
    """ΔW(I − αQQᵀ), Q from as many Gaussian columns as the paper's rank."""
    generator = torch.Generator().manual_seed(seed)
    shape = (W.shape[1], _paper_rank(W, eta))
    columns = torch.randn(shape, generator=generator, dtype=torch.float64).numpy()
    return delta @ (np.eye(W.shape[1]) - alpha * span(columns))


def off_bottom_space(delta, W, eta, alpha):
    """ΔW(I − αBBᵀ), B the least right singular vectors of W."""
    r = _paper_rank(W, eta)
    B = np.linalg.svd(W, full_matrices=False)[2][-r:].T
    return delta @ (np.eye(W.shape[1]) - alpha * B @ B.T)


def compensated_edits(W, A, batches, P):
    """SPHERE with the d×d error carried on: the weights, and the total before the last projection."""
    error, before = np.zeros((len(W), len(A))), []

    def step(W, K, V):
        nonlocal A, error
        A = A + K @ K.T
        delta = ((V - W @ K) @ K.T - error) @ np.linalg.inv(A)
        before.append(W + delta)
        error = (delta @ P - delta) @ A
        return delta @ P

    return _stream(W, batches, step), before


# --- matrices -----------------------------------------------------------------------------------


def orthonormal(rng: np.random.Generator, d: int, r: int) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(d, r)))[0]


def with_spectrum(rng: np.random.Generator, n: int, d: int, eigenvalues: np.ndarray) -> np.ndarray:
    """A matrix whose WᵀW has these nonzero eigenvalues."""
    k = len(eigenvalues)
    return orthonormal(rng, n, k) * np.sqrt(eigenvalues) @ orthonormal(rng, d, k).T


def simplex(n: int) -> np.ndarray:
    """n neurons of a regular simplex, (n, n)."""
    return np.eye(n) - 1 / n


def near(rng: np.random.Generator, n: int, d: int, angle: float) -> np.ndarray:
    """Gaussian rows, the last at `angle` from the first, and longer."""
    W = rng.normal(size=(n, d))
    across = rng.normal(size=d)
    across -= across @ W[0] / (W[0] @ W[0]) * W[0]
    across *= np.linalg.norm(W[0]) / np.linalg.norm(across)
    W[-1] = 1.7 * (np.cos(angle) * W[0] + np.sin(angle) * across)
    return W


def _gaussian(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    return rng.normal(size=(n, d))


def _scaled(rng: np.random.Generator, n: int, d: int, low: float, high: float) -> np.ndarray:
    return rng.normal(size=(n, d)) * 10.0 ** rng.uniform(low, high, size=(n, 1))


def _antipodal(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    W = rng.normal(size=(n, d))
    W[n // 2 :] = -2 * W[: n - n // 2] + 1e-4 * rng.normal(size=(n - n // 2, d))
    return W


STRUCTURES: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "gaussian": _gaussian,
    "positive": lambda rng, n, d: rng.random((n, d)),
    "near pair": lambda rng, n, d: near(rng, n, d, 10.0 ** rng.uniform(-6, -1)),
    "tight cluster": lambda rng, n, d: rng.normal(size=d) + 1e-3 * rng.normal(size=(n, d)),
    "antipodal": _antipodal,
    "rank deficient": lambda rng, n, d: (
        rng.normal(size=(n, max(2, d // 2))) @ rng.normal(size=(max(2, d // 2), d))
    ),
    "mixed scales": lambda rng, n, d: _scaled(rng, n, d, -8, 8),
    "huge": lambda rng, n, d: _scaled(rng, n, d, 29, 31),
    "tiny": lambda rng, n, d: _scaled(rng, n, d, -31, -29),
}


def structured(structure: str, seed: int, n: int, d: int, dtype: str = "float64") -> np.ndarray:
    """A matrix of a named structure, as numpy, after rounding to `dtype`."""
    return STRUCTURES[structure](np.random.default_rng(seed), n, d).astype(DTYPES[dtype])


@st.composite
def weights(
    draw: st.DrawFn, n: tuple[int, int] = (2, 12), d: tuple[int, int] = (3, 10), without: tuple[str, ...] = ()
) -> np.ndarray:
    """float32 and float64 matrices of every structure, named by seed and shape."""
    return structured(
        draw(st.sampled_from([name for name in STRUCTURES if name not in without]), label="structure"),
        draw(st.integers(0, 2**32 - 1), label="seed"),
        draw(st.integers(*n), label="n"),
        draw(st.integers(*d), label="d"),
        draw(st.sampled_from(sorted(DTYPES)), label="dtype"),
    )


COINCIDENT = (
    "W: expected neurons of pairwise different direction, got a coincident pair (first at rows {} and {})"
)


# --- checkers -----------------------------------------------------------------------------------


def check_close(got: Any, expected: Any, tolerance: float, scale: Any = None) -> None:
    """|got − expected| ≤ tolerance·scale, entry by entry; the scale is |expected| unless given."""
    error = abs(np.asarray(got) - np.asarray(expected))
    allowed = tolerance * (abs(np.asarray(expected)) if scale is None else np.asarray(scale))
    assert np.all(error <= allowed), (
        f"expected {expected}, got {got}: "
        f"off by {float(np.max(error)):.3g}, allowed {float(np.min(allowed)):.3g}"
    )


def check_kind(result: Any, model: Any, dtype: str) -> None:
    """The result is an array as the model is, of this dtype."""
    expected = (np.ndarray if isinstance(model, np.ndarray) else torch.Tensor, dtype)
    got = (type(result), str(result.dtype).removeprefix("torch."))
    assert got == expected, f"expected {expected}, got {got}"


def check_refused(call: Callable[[], object], error: type[Exception], message: str) -> None:
    """The call raises this very error with this very message."""
    with pytest.raises(SphereTheoryError) as caught:
        call()
    assert isinstance(caught.value, ValueError)
    got = (type(caught.value).__name__, str(caught.value))
    assert got == (error.__name__, message), f"expected {(error.__name__, message)}, got {got}"


def storage(tensor: torch.Tensor) -> int:
    """Number of entries that a tensor keeps alive, its own or not."""
    return tensor.untyped_storage().nbytes() // tensor.itemsize


class Recorded(TorchDispatchMode):
    """While it is on, the most entries of any tensor that an operation returns."""

    largest = 0

    def __torch_dispatch__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        sizes = [storage(leaf) for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        self.largest = max([self.largest, *sizes])
        return out
