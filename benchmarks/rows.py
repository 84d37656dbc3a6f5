"""One function a row. To add a row, write its function here and mark it with `@row("key")`.

Weights and edits are Gaussian with a fixed seed: the spectrum of such weights is flatter than a
trained layer's, so that the rank at η = 0.5, and with it our work, is larger than on real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from benchmarks import released
from benchmarks.limits import Limit, Phase, limit
from benchmarks.measure import Call, Timing, Work, footprint, side_by_side
from sphere_theory import LowRankUpdate, SparseProjector, Subspace, energy, principal_space

ETA, ALPHA = 0.5, 0.5
MIB = 2**20


@dataclass(frozen=True)
class Bench:
    """Where and how large.

    Attributes
    ----------
    device
        "cpu" or "cuda".
    quick
        Small shapes, to see that it runs.
    say
        Called with what is being done.
    """

    device: str = "cpu"
    quick: bool = False
    say: Callable[[str], None] = lambda text: None

    def shape(self, n: int, d: int) -> tuple[int, int]:
        """The shape asked for, or a small one of about its proportion."""
        return (n // 32, d // 32) if self.quick else (n, d)

    def gauss(self, n: int, d: int, seed: int = 0) -> Tensor:
        """Independent normal float32 numbers, (n, d), the same on every device."""
        return torch.randn((n, d), generator=torch.Generator().manual_seed(seed)).to(self.device)

    def time(self, *works: Work) -> list[Timing]:
        """Time several pieces of work in turns."""
        return side_by_side(*works, device=self.device)


@dataclass(frozen=True)
class Target:
    """What a row has to reach.

    Attributes
    ----------
    bound
        The number.
    kind
        "faster": the alternative's time over ours is at least `bound`; "share": ours over the
        alternative's is at most `bound`; "seconds": ours is at most `bound`.
    """

    bound: float
    kind: str = "faster"

    def value(self, ours: Timing, alternative: Timing | None) -> float:
        """The number that is compared with the bound."""
        if alternative is None:
            return ours.median
        return alternative.median / ours.median if self.kind == "faster" else ours.median / alternative.median

    def met(self, value: float) -> bool:
        """Whether a number reaches the bound."""
        return value >= self.bound if self.kind == "faster" else value <= self.bound

    def show(self, value: float) -> str:
        """A number with its unit."""
        return f"{value:.3g}{' s' if self.kind == 'seconds' else '×'}"

    def __str__(self) -> str:
        return f"{'≥' if self.kind == 'faster' else '≤'} {self.show(self.bound)}"


@dataclass(frozen=True)
class Check:
    """A second requirement of a row: a number that must not exceed another.

    Attributes
    ----------
    name
        What is measured.
    value, bound
        The number and the largest that is allowed.
    unit
        Of both.
    """

    name: str
    value: float
    bound: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether the bound is kept."""
        return self.value <= self.bound


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes
    ----------
    key
        Its name on the command line.
    work, against
        What is done, and what it is compared with.
    shape
        Of the weights, (n, d).
    ours, alternative
        Times; no alternative where the target is a time.
    target
        What the times have to reach.
    limit
        The physical limit of our method.
    checks
        Further requirements.
    facts
        Further numbers: differences between the results, memory of the alternative, rank.
    """

    key: str
    work: str
    against: str
    shape: tuple[int, int]
    ours: Timing
    alternative: Timing | None
    target: Target
    limit: Limit
    checks: tuple[Check, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def ratio(self) -> float:
        """The number that the target is about."""
        return self.target.value(self.ours, self.alternative)

    @property
    def met(self) -> bool:
        """Whether the target and every check is met."""
        return self.target.met(self.ratio) and all(check.met for check in self.checks)

    @property
    def share_of_limit(self) -> float:
        """The limit's time over ours: 1 means that no method with these operations is faster here."""
        return self.limit.seconds / self.ours.median

    @property
    def ratio_at_limit(self) -> float:
        """The ratio if ours took the limit's time: what no target on this machine should exceed."""
        return self.target.value(Timing((self.limit.seconds,)), self.alternative)

    @property
    def share_of_float32_product(self) -> float:
        """Operations a second that the method needs, over those of one large float32 product."""
        return self.limit.flops / self.ours.median / self.limit.rates["float32"]

    @property
    def verdict(self) -> str:
        """In words: met, or by how much missed."""
        if self.met:
            return "met"
        missed = [] if self.target.met(self.ratio) else [_of(self.target.show, self.ratio, self.target.bound)]
        missed += [f"{c.name} {c.value:,.0f} of {c.bound:,.0f} {c.unit}" for c in self.checks if not c.met]
        return "missed: " + "; ".join(missed)

    def as_json(self) -> dict[str, Any]:
        """The row as JSON stores it."""
        return {
            "key": self.key,
            "work": self.work,
            "against": self.against,
            "shape": list(self.shape),
            "ours": self.ours.as_json(),
            "alternative": self.alternative.as_json() if self.alternative else None,
            "target": {"kind": self.target.kind, "bound": self.target.bound},
            "ratio": self.ratio,
            "ratio_at_limit": self.ratio_at_limit,
            "met": self.met,
            "verdict": self.verdict,
            "limit": vars(self.limit),
            "share_of_limit": self.share_of_limit,
            "share_of_float32_product": self.share_of_float32_product,
            "checks": [vars(check) | {"met": check.met} for check in self.checks],
            "facts": self.facts,
        }


def _of(show: Callable[[float], str], value: float, bound: float) -> str:
    return f"{show(value)} of {show(bound)}"


ROWS: dict[str, Callable[[Bench], Row]] = {}


def row(key: str) -> Callable[[Callable[[Bench, str], Row]], Callable[[Bench, str], Row]]:
    """Register a row under its key, in the order of the table.

    Parameters
    ----------
    key
        Its name on the command line; passed to the function as its second argument.

    Returns
    -------
    callable
        The decorator, which returns the function as it is.
    """

    def register(function: Callable[[Bench, str], Row]) -> Callable[[Bench, str], Row]:
        ROWS[key] = lambda bench: function(bench, key)
        return function

    return register


def relative(value: float, reference: float) -> float:
    """|value − reference|/|reference|.

    Parameters
    ----------
    value, reference
        Two numbers.

    Returns
    -------
    float
        The relative difference.
    """
    return abs(value - reference) / abs(reference)


def relative_distance(value: Tensor, reference: Tensor) -> float:
    """‖value − reference‖_F/‖reference‖_F.

    Parameters
    ----------
    value, reference
        Two matrices of one shape.

    Returns
    -------
    float
        The relative distance.
    """
    return float((value - reference).norm() / reference.norm())


# Energy --------------------------------------------------------------------------------------------


def energy_limit(shape: tuple[int, int], device: str) -> Limit:
    """Each unordered pair's inner product once: n(n+1)/2 of them, 2d operations each.

    Parameters
    ----------
    shape
        (n, d).
    device
        "cpu" or "cuda".

    Returns
    -------
    Limit
        Of the energy.
    """
    n, d = shape
    return limit(shape, device, Phase("inner products, n(n+1)d", n * (n + 1) * d, bytes=4 * n * d))


def prepare_energy(n: int, d: int, device: str) -> Call:
    """Weights in memory, and the energy to take of them; for `footprint`.

    Parameters
    ----------
    n, d, device
        Of the weights.

    Returns
    -------
    callable
        The work.
    """
    W = Bench(device).gauss(n, d)
    energy(W[:64])  # the libraries' own start-up is not the method's memory
    return lambda: energy(W)


def prepare_cdist(n: int, d: int, device: str) -> Call:
    """As `prepare_energy`, for the `torch.cdist` version.

    Parameters
    ----------
    n, d, device
        Of the weights.

    Returns
    -------
    callable
        The work.
    """
    W = Bench(device).gauss(n, d)
    released.cdist_energy(W[:64])
    return lambda: released.cdist_energy(W)


@row("energy-gram")
def energy_against_gram(bench: Bench, key: str) -> Row:
    """The energy, against one full product W Wᵀ, which is only a part of the naive energy."""
    n, d = bench.shape(4096, 14336)
    W = bench.gauss(n, d)
    bench.say("energy and W @ W.T in turns")
    ours, alternative = bench.time(Work(lambda: energy(W)), Work(lambda: released.full_gram(W)))
    return Row(
        key=key,
        work="energy",
        against="one full W @ W.T",
        shape=(n, d),
        ours=ours,
        alternative=alternative,
        target=Target(0.75, "share"),
        limit=energy_limit((n, d), bench.device),
    )


@row("energy-cdist")
def energy_against_cdist(bench: Bench, key: str) -> Row:
    """The energy, against torch.cdist as one would write it."""
    n, d = bench.shape(4096, 14336)
    W = bench.gauss(n, d)
    bench.say("energy and torch.cdist in turns")
    ours, alternative = bench.time(Work(lambda: energy(W)), Work(lambda: released.cdist_energy(W)))
    bench.say("memory of both, each in a fresh process")
    place = {"n": n, "d": d, "device": bench.device}
    extra = footprint("benchmarks.rows:prepare_energy", **place).extra_bytes / MIB
    theirs = footprint("benchmarks.rows:prepare_cdist", **place).extra_bytes / MIB
    bench.say("accuracy of both")
    exact = energy(W.double())
    return Row(
        key=key,
        work="energy",
        against="torch.cdist",
        shape=(n, d),
        ours=ours,
        alternative=alternative,
        target=Target(3),
        limit=energy_limit((n, d), bench.device),
        checks=(Check("extra memory", extra, 256, "MiB"),),
        facts={
            "extra_mib_alternative": theirs,
            "error_ours": relative(energy(W), exact),
            "error_alternative": relative(released.cdist_energy(W), exact),
            **_errors_on_near_copies(bench),
        },
    )


def _errors_on_near_copies(bench: Bench) -> dict[str, float]:
    """Errors on weights of which some are almost copies of others, as trained layers have them."""
    W = bench.gauss(*bench.shape(2048, 8192))[:256]
    W[:16] = W[16:32] + 1e-3 * bench.gauss(16, W.shape[1], seed=1)
    exact = released.direct_energy(W)
    return {
        "error_ours_near_copies": relative(energy(W), exact),
        "error_alternative_near_copies": relative(released.cdist_energy(W), exact),
    }


@row("energy-cdist-accurate")
def energy_against_accurate_cdist(bench: Bench, key: str) -> Row:
    """The energy, against torch.cdist without the product that loses small distances."""
    n, d = bench.shape(4096, 14336)
    W = bench.gauss(n, d)
    mode = "donot_use_mm_for_euclid_dist"
    values: list[float] = []
    bench.say("energy, and torch.cdist without products once")
    ours, alternative = bench.time(
        Work(lambda: energy(W)),
        Work(lambda: values.append(released.cdist_energy(W, mode)), repeats=1, warmups=0),
    )
    return Row(
        key=key,
        work="energy",
        against="torch.cdist, accurate mode",
        shape=(n, d),
        ours=ours,
        alternative=alternative,
        target=Target(3),
        limit=energy_limit((n, d), bench.device),
        facts={"error_alternative": relative(values[0], energy(W.double()))},
    )


# Projection ----------------------------------------------------------------------------------------


def project(W: Tensor, delta: Tensor) -> Tensor:
    """Our principal space and projection, with the released code's conventions.

    Parameters
    ----------
    W, delta
        Weights and edit, (n, d).

    Returns
    -------
    Tensor
        ΔW·P.
    """
    space = principal_space(W, eta=ETA, rows="unit", rank_rule="released")
    return SparseProjector(space, ALPHA)(delta)


def prepare_projection(n: int, d: int, device: str) -> Call:
    """Weights and a dense edit in memory, and its projection to compute; for `footprint`.

    Parameters
    ----------
    n, d, device
        Of the weights.

    Returns
    -------
    callable
        The work.
    """
    bench = Bench(device)
    W, delta = bench.gauss(n, d), bench.gauss(n, d, seed=1)
    project(W[:64, :128], delta[:64, :128])
    return lambda: project(W, delta)


def projection_limit(shape: tuple[int, int], rank: int, device: str) -> Limit:
    """Gram matrix, its eigenvalues and r eigenvectors, U = Wᵀ·(…), and the projection.

    Parameters
    ----------
    shape
        (n, d), n ≤ d.
    rank
        r.
    device
        "cpu" or "cuda".

    Returns
    -------
    Limit
        With the decomposition at the rate of a product, which no LAPACK reaches: half of the
        reduction to a tridiagonal matrix is bound by memory.
    """
    n, d = shape
    wide = torch.float64
    return limit(
        shape,
        device,
        Phase("gram, n(n+1)d", n * (n + 1) * d, wide, bytes=4 * n * d),
        Phase("tridiagonal form, 4n³/3", 4 * n**3 / 3, wide, bytes=8 * n * n),
        Phase("eigenvectors turned back, 2n²r", 2 * n * n * rank, wide, bytes=8 * n * n),
        Phase("basis, 2ndr", 2 * n * d * rank, wide, bytes=4 * n * d + 4 * d * rank),
        Phase("projection, 4ndr", 4 * n * d * rank, bytes=8 * n * d + 4 * d * rank),
    )


@row("principal-space")
def projection_against_released(bench: Bench, key: str) -> Row:
    """Principal space and projection of a dense edit, against the released d×d route."""
    n, d = bench.shape(2048, 7168) if bench.device == "cpu" else bench.shape(4096, 14336)
    W, delta = bench.gauss(n, d), bench.gauss(n, d, seed=1)
    results: list[Tensor] = []
    released.released_projection(W[:32, :64], delta[:32, :64], ETA, ALPHA)  # start-up of the solver
    bench.say("principal space and projection, and the released route twice")
    ours, alternative = bench.time(
        Work(lambda: project(W, delta)),
        Work(
            lambda: results.append(released.released_projection(W, delta, ETA, ALPHA)), repeats=2, warmups=0
        ),
    )
    difference = relative_distance(project(W, delta), results.pop())
    rank = principal_space(W, eta=ETA, rows="unit", rank_rule="released").rank
    bench.say("memory, in a fresh process")
    used = footprint("benchmarks.rows:prepare_projection", n=n, d=d, device=bench.device)
    return Row(
        key=key,
        work="principal space and projection",
        against="released: d×d eigh, dense P",
        shape=(n, d),
        ours=ours,
        alternative=alternative,
        target=Target(25),
        limit=projection_limit((n, d), rank, bench.device),
        checks=(Check("largest array", used.largest_array, d * d - 1, "entries"),),
        facts={"relative_difference": difference, "rank": rank, "extra_mib": used.extra_bytes / MIB},
    )


def random_basis(bench: Bench, d: int, rank: int) -> Subspace:
    """A space to project with where its directions do not matter.

    Parameters
    ----------
    bench
        Where.
    d, rank
        Its dimensions.

    Returns
    -------
    Subspace
        Orthonormal basis, (d, rank).
    """
    return Subspace(torch.linalg.qr(bench.gauss(d, rank, seed=2)).Q.contiguous())


@row("low-rank-projection")
def low_rank_against_dense(bench: Bench, key: str) -> Row:
    """Projection of an edit kept as factors, space known, against dense ΔW @ P."""
    n, d = bench.shape(4096, 14336)
    batch, rank = (8, 16) if bench.quick else (100, 512)
    space = random_basis(bench, d, rank)
    projector = SparseProjector(space, ALPHA)
    left, right = bench.gauss(n, batch), bench.gauss(d, batch, seed=1)
    edit, delta = LowRankUpdate(left, right), left @ right.T
    P = released.dense_projector(space.basis, ALPHA)
    bench.say("low-rank projection and dense ΔW @ P in turns")
    ours, formed, alternative = bench.time(
        Work(lambda: projector(edit)), Work(lambda: projector(edit).dense()), Work(lambda: delta @ P)
    )
    difference = relative_distance(torch.as_tensor(projector(edit).dense()), delta @ P)
    flops, traffic = 4 * d * batch * rank, 4 * d * (rank + 2 * batch)
    return Row(
        key=key,
        work=f"projection of a rank-{batch} edit, r = {rank}",
        against="dense ΔW @ P",
        shape=(n, d),
        ours=ours,
        alternative=alternative,
        target=Target(20),
        limit=limit((n, d), bench.device, Phase("projection, 4dbr", flops, bytes=traffic)),
        facts={"relative_difference": difference, "rank": rank, "seconds_formed_dense": formed.median},
    )
