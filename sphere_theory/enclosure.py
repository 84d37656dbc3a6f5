"""ΔHE between two certified numbers (ledger B8 and B9), and the largest it can be for a size of edit (B10).

Turning each neuron along the great circle from û_i to its new direction, by δ_i, the energy changes to first
order by Σ_i δ_i⟨G_i, τ_i⟩, with G_i = ‖w_i‖ ∂HE/∂w_i and τ_i the unit tangent towards the new direction. With
φ_ij = θ_ij − δ_i − δ_j > 0 the rest is at most ½ Σ_{i≠j} q(φ_ij)(δ_i + δ_j)², where q(φ) = s d^(−s−2)
(1 + (s + 2)cos²(φ/2)), d = 2 sin(φ/2), and 1 for the leading s at s = 0. Where pairs may meet, the pulls at
both ends still bound the change. Everything is rounded outwards.
"""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass, field
from time import perf_counter
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import Array, as_count, as_matrix, as_real, frobenius, full_precision
from sphere_theory.constants import less
from sphere_theory.energy import energy_gradient, gradient_factor, off_diagonal, potential
from sphere_theory.errors import CertificateError
from sphere_theory.motion import (
    EPS,
    RESOLVED,
    Motion,
    as_motion,
    cosines_along,
    distance_rounding,
    move_rounding,
    moved,
)
from sphere_theory.neurons import Neurons, as_neurons
from sphere_theory.pulls import Pulls, add_to_rows, pulls, pulls_at_ends
from sphere_theory.tiles import Tile, opposite_squares, require_distinct, tiles

# Two halves have half the remainder of their piece; where they keep this share, rounding is what is left.
_STALLED = 0.95


@dataclass(frozen=True)
class Interval:
    """Two numbers with a third between them.

    Attributes
    ----------
    low, high
        Certified: rounding is counted in.
    pieces
        In how many the segment from W to W + ΔW was cut.
    seconds
        What it took.
    """

    low: float
    high: float
    pieces: int = 1
    seconds: float = field(default=0.0, compare=False)

    @property
    def width(self) -> float:
        """high − low."""
        return self.high - self.low

    @property
    def sign(self) -> int:
        """1 or −1 if that is certified to be the sign of what lies between, else 0."""
        return (self.low > 0) - (self.high < 0)

    @property
    def largest(self) -> float:
        """The largest absolute value between."""
        return max(abs(self.low), abs(self.high))

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        cuts = "1 piece" if self.pieces == 1 else f"{self.pieces} pieces"
        return f"[{self.low:.6g}, {self.high:.6g}] ({cuts}, {self.seconds:.2g} s)"


@full_precision()
def enclose_change(
    W: Array,
    delta: object,
    *,
    pieces: int = 1,
    width: float | None = None,
    seconds: float = 10.0,
    s: float = 1.0,
) -> Interval:
    """Two certified numbers with ΔHE_s = HE_s(W + ΔW) − HE_s(W) between them.

    Each piece of the segment from W to W + ΔW gives an interval: first order and remainder along great
    circles (ledger B9), cut to what the pulls at its two ends allow (B8). That is defined for every edit;
    B9 makes it narrow where φ_ij = θ_ij − δ_i − δ_j > 0. A remainder falls with the square of its piece, so
    p pieces are about p times as narrow, for p times the cost. The sign of ΔHE is certified where 0 lies
    outside.

    Parameters
    ----------
    W
        Weight matrix, (n, d), one neuron per row; numpy or torch.
    delta
        Edit ΔW, (n, d) or a `LowRankUpdate`.
    pieces
        Pieces of equal length to begin with.
    width
        Halve the widest piece until high − low ≤ width·max(|low|, |high|). Default: do not.
    seconds
        Stop halving after that. Default 10; only with `width`.
    s
        Exponent, s ≥ 0.

    Returns
    -------
    Interval
        Low, high, pieces used, seconds taken. Wider than asked for where time ran out, where a pair meets on
        the way, or where rounding is what is left.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ZeroRowError, RangeError
        As for `energy`; also an edit of another shape, or one that makes a row zero.
    CoincidentNeuronsError
        Two neurons share a direction, before or after the edit, or where two pieces meet.
    """
    start, s = perf_counter(), as_real(s, "s", low=0)
    pieces, seconds = as_count(pieces, "pieces", low=1), as_real(seconds, "seconds", low=0)
    whole = as_motion(W, delta)
    path = _Path(as_matrix(W, "W").double(), whole, s)
    ends = [k / pieces for k in range(pieces + 1)]
    found = [path.piece(a, b) for a, b in itertools.pairwise(ends)]
    if width is not None:
        width = as_real(width, "width", low=0, low_open=True)
        found = _halved(path, found, width, start + seconds)
    return Interval(*_sums(found), len(found), perf_counter() - start)


class _Piece(NamedTuple):
    """ΔHE of a piece between two numbers; `open` if only the pulls at its ends say so, some φ being ≤ 0."""

    start: float
    stop: float
    low: float
    high: float
    open: bool

    @property
    def width(self) -> float:
        return self.high - self.low


def _halved(path: _Path, found: list[_Piece], width: float, until: float) -> list[_Piece]:
    """Halve the widest piece until the whole is narrow enough, or time is up."""
    queue = [(-piece.width, piece) for piece in found]
    heapq.heapify(queue)
    done: list[_Piece] = []
    low, high = _sums(found)
    while queue and high - low > width * max(abs(low), abs(high)) and perf_counter() < until:
        _, piece = heapq.heappop(queue)
        middle = (piece.start + piece.stop) / 2
        halves = [path.piece(piece.start, middle), path.piece(middle, piece.stop)]
        if piece.open or sum(half.width for half in halves) < _STALLED * piece.width:
            for half in halves:
                heapq.heappush(queue, (-half.width, half))
        else:
            done += halves
        low += sum(half.low for half in halves) - piece.low
        high += sum(half.high for half in halves) - piece.high
    return done + [piece for _, piece in queue]


def _sums(found: list[_Piece]) -> tuple[float, float]:
    return math.fsum(piece.low for piece in found), math.fsum(piece.high for piece in found)


class _Path:
    """The segment from W to W + ΔW, of which pieces are enclosed."""

    def __init__(self, W: Float[Tensor, "n d"], whole: Motion, s: float) -> None:
        self.W, self.whole, self.s = W, whole, s
        self.edit = torch.ldexp(whole.step, whole.before.exponents[:, None])

    def _neurons(self, at: float) -> Neurons:
        if at in (0.0, 1.0):
            return self.whole.before if at == 0 else self.whole.after
        return as_neurons(self.W + at * self.edit, "W + delta")

    def piece(self, start: float, stop: float) -> _Piece:
        before, after = self._neurons(start), self._neurons(stop)
        motion = moved(before, after, (stop - start) * self.edit)
        pulled = pulls_at_ends(motion, self.s)
        found = enclose(motion, pulled, self.s)
        # Where two pieces meet, each has rounded the weights its own way.
        slack = self._joint(before, pulled.before, start) + self._joint(after, pulled.after, stop)
        return _Piece(start, stop, found.low - slack, found.high + slack, not found.curved)

    def _joint(self, neurons: Neurons, sums: Float[Tensor, " n"], at: float) -> float:
        """What a turn by the rounding of W + at·ΔW is worth."""
        size = self.whole.before.true_norms() + torch.linalg.vector_norm(self.edit, dim=1)
        return 16 * EPS * float((size / neurons.true_norms() * sums).sum()) if 0 < at < 1 else 0.0


class Enclosed(NamedTuple):
    """ΔHE of one piece between two numbers, and whether every φ_ij > 0, so that B9 had a say."""

    low: float
    high: float
    curved: bool


def enclose(motion: Motion, pulled: Pulls, s: float) -> Enclosed:
    """ΔHE_s of one piece between two certified numbers.

    Parameters
    ----------
    motion
        The edit.
    pulled
        The pulls at its two ends.
    s
        Exponent.

    Returns
    -------
    Enclosed
        First order ± remainder of B9, cut to the two-sided form of B8.
    """
    fall, rise = end_bounds(motion, pulled)
    first, remainder = _second_order(motion, s)
    low, high = max(first - remainder, -fall), min(first + remainder, rise)
    return Enclosed(low, high, remainder < math.inf)


def end_bounds(motion: Motion, pulled: Pulls) -> tuple[float, float]:
    """How far HE_s can fall and rise by the pulls at the two ends (ledger B8, without lengths).

    Parameters
    ----------
    motion
        The edit.
    pulled
        The pulls at its two ends.

    Returns
    -------
    fall, rise
        −fall ≤ ΔHE_s ≤ rise; fall = Σ_i 2s δ_i Σ_{j≠i} h(θ_ij) at W, rise the same at W + ΔW. Rounded up.
    """
    turns = motion.turns + motion.turn_rounding
    fall, rise = (float((turns * sums).sum()) for sums in (pulled.before, pulled.after))
    return fall * (1 + pulled.rounding_before), rise * (1 + pulled.rounding_after)


def _second_order(motion: Motion, s: float) -> tuple[float, float]:
    """First order along great circles, and the remainder of B9 with all rounding; inf where φ ≤ 0."""
    tangents, noise = _arcs(motion)
    first = remainder = 0.0
    for tile in tiles(motion.before, s=s + 2, exact=True):
        require_distinct(tile, "W")
        force = off_diagonal(potential(tile.squared, s + 2), tile)
        slopes = off_diagonal(cosines_along(motion, tile, tangents), tile)
        relative = distance_rounding(tile, motion.eps)
        error = move_rounding(motion, tile) * torch.maximum(noise[tile.rows, None], noise[tile.cols])
        error = force * (error + (s + 2) * relative * slopes.abs()) + 64 * EPS * (force * slopes).abs()
        first += tile.multiplicity * gradient_factor(s) / 2 * float((force * slopes).sum())
        remainder += tile.multiplicity * gradient_factor(s) / 2 * float(off_diagonal(error, tile).sum())
        remainder += tile.multiplicity * _remainder(motion, tile, relative, s)
    return first, remainder * (1 + 64 * EPS)


def _arcs(motion: Motion) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
    """δ_i τ_i, (n, d), and by how much more than a move's its rounding may be, (n,)."""
    # e_i = sin δ_i τ_i − (1 − cos δ_i) û_i.
    along = (motion.units * motion.moves).sum(dim=1, keepdim=True)
    across = motion.moves - along * motion.units
    stretch = torch.where(motion.turns > 0, motion.turns / motion.turns.sin(), 1.0)
    return stretch[:, None] * across, 4 * stretch.clamp_min(1.0)


def _remainder(motion: Motion, tile: Tile, relative: Float[Tensor, "a b"], s: float) -> float:
    """½ Σ q(φ_ij)(δ_i + δ_j)² of a tile, with turns rounded up and distances down."""
    turns = motion.turns + motion.turn_rounding
    opposite = opposite_squares(motion.before, tile)
    both = turns[tile.rows, None] + turns[tile.cols]
    curvature = _curvature(tile.squared, opposite, both / 2, relative, motion.eps, s)
    values = torch.where(both > 0, curvature * both.square(), 0.0)
    return float(off_diagonal(values, tile).sum()) / 2


def _curvature(
    squared: Tensor, opposite: Tensor, half: Tensor, relative: Tensor, eps: float, s: float
) -> Tensor:
    """q(θ − 2·half) of pairs, rounded up; infinite where the angle may be 0."""
    sine, cosine = less(squared, opposite, half)
    # sin and cos of θ/2 are rounded by a share of themselves, or of what D² and 4 − D² are.
    slack = relative * squared.sqrt() + 2 * eps / opposite.clamp_min(RESOLVED).sqrt() * half.clamp_max(1)
    slack += 8 * EPS * (squared.sqrt() + half)
    curved = second_slope(sine - slack, (cosine + slack).clamp(0, 1), s)
    return curved.masked_fill(half >= math.pi / 2, torch.inf)


def second_slope(sine: Tensor, cosine: Tensor, s: float) -> Tensor:
    """q(φ) = s d^(−s−2)(1 + (s + 2)cos²(φ/2)) with d = 2 sin(φ/2), and 1 for the leading s at s = 0.

    Parameters
    ----------
    sine, cosine
        sin(φ/2) and cos(φ/2), any shape.
    s
        Exponent.

    Returns
    -------
    Tensor
        Same shape; infinite where φ ≤ 0.
    """
    power = (2 * sine.clamp_min(0)).pow(-s - 2)
    return (s or 1.0) * power * (1 + (s + 2) * cosine.square())


@full_precision()
def largest_change(W: Array, size: float, *, s: float = 1.0) -> float:
    """A bound of |ΔHE_s| over every edit with ‖ΔW‖_F ≤ size, without knowing the edit (ledger B10).

    With ρ the size, x = ρ/min‖w_i‖ < 1 and κ = arcsin(x)/x: κ‖∇HE_s(W)‖_F ρ + 2κ²ρ²Q, where
    Q = max_i ‖w_i‖^(−2) Σ_{j≠i} q(θ_ij − κρ√(‖w_i‖^(−2) + ‖w_j‖^(−2))) and q as for `enclose_change`. It is
    nearest to the paper's wording of Theorem 1: a constant of the weights alone.

    Parameters
    ----------
    W
        Weight matrix, (n, d), one neuron per row; numpy or torch.
    size
        ρ > 0, unit of W.
    s
        Exponent, s ≥ 0.

    Returns
    -------
    float
        The bound, unit-free, rounded up.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ZeroRowError, RangeError
        As for `energy`.
    CoincidentNeuronsError
        Two neurons share a direction.
    CertificateError
        Edits of that size can make a neuron vanish, or let two of them meet.
    """
    s, size = as_real(s, "s", low=0), as_real(size, "size", low=0, low_open=True)
    neurons = as_neurons(W)
    lengths = neurons.true_norms()
    share = size / float(lengths.min())
    if share >= 1:
        least = int(lengths.argmin())
        got = f"{size:.6g} and a neuron of length {float(lengths[least]):.6g}"
        raise CertificateError("size", "less than the length of every neuron", got, [f"row {least}"])
    eps = (neurons.rows.shape[1] + 32) * EPS
    kappa = math.asin(share) / share * (1 + 8 * EPS / math.sqrt(1 - share))
    curvature = _largest_curvature(neurons, kappa * size / lengths * (1 + eps), size, s, eps)
    sums, rounding = pulls(neurons, s, eps=eps)
    # The gradient is a sum of pulls: what rounding makes of it is a share of theirs.
    slope = frobenius(energy_gradient(as_matrix(W, "W").double(), s=s))
    slope += 4 * rounding * frobenius(sums / lengths)
    return (kappa * slope * size + 2 * curvature) * (1 + 8 * eps)


def _largest_curvature(
    neurons: Neurons, turns: Float[Tensor, " n"], size: float, s: float, eps: float
) -> float:
    """max_i (κρ/‖w_i‖)² Σ_{j≠i} q(θ_ij − √(turns_i² + turns_j²)), turns_i = κρ/‖w_i‖."""
    sums = torch.zeros_like(turns)
    for tile in tiles(neurons, s=s + 2, exact=True):
        require_distinct(tile, "W")
        half = torch.hypot(turns[tile.rows, None], turns[tile.cols]) / 2
        opposite, relative = opposite_squares(neurons, tile), distance_rounding(tile, eps)
        values = off_diagonal(_curvature(tile.squared, opposite, half, relative, eps, s), tile)
        if float(values.max()) == math.inf:
            i, j = divmod(int(values.argmax()), values.shape[1])
            pair = (tile.rows.start + i, tile.cols.start + j)
            wanted = "edits so small that no two neurons can meet"
            raise CertificateError("size", wanted, f"{size:.6g}", [pair])
        add_to_rows(sums, values, tile)
    return float((turns.square() * sums).max()) * (1 + 64 * EPS)
