"""Both sides of B5, B8, B9 and B10 in intervals, with the pieces that a mistake would touch as arguments.

Each returns pairs (left, right) of which left ≤ right is claimed, or None where the claim says nothing.
The defaults are the claims; tests put wrong pieces in their place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TypeAlias

from mpmath.ctx_iv import ivmpf

from .intervals import (
    IV,
    TWO,
    ZERO,
    Formula,
    Geometry,
    HalfAngle,
    Sides,
    dot,
    interval,
    root,
    segment_distance_squared,
)

Pair: TypeAlias = tuple[int, int]
Pulls: TypeAlias = dict[Pair, ivmpf]


def both(geometry: Geometry, pair: Pair) -> Sequence[int]:
    """The neurons whose turns close the angle of a pair: both of them."""
    return pair


def together(*formulas: Formula) -> Formula:
    """All inequalities of several formulas; those that do not apply are left out."""

    def sides(geometry: Geometry) -> Sides | None:
        return [pair for formula in formulas for pair in formula(geometry) or ()] or None

    return sides


def _closed_angles(
    geometry: Geometry, closing: Callable[[Geometry, Pair], Sequence[int]]
) -> dict[Pair, HalfAngle] | None:
    """φ_ij/2 of every pair as (sin, cos), or None where φ_ij > 0 is not certain."""
    gaps = {pair: geometry.closed(pair, closing(geometry, pair)) for pair in geometry.pairs}
    certain = {pair: half for pair, half in gaps.items() if half is not None}
    return certain if len(certain) == len(gaps) else None


def certified(
    geometry: Geometry, *, closing: Callable[[Geometry, Pair], Sequence[int]] = both
) -> Sides | None:
    """B5: |ΔHE| ≤ K_cert‖ΔW‖_F where every φ_ij > 0."""
    constant = _k_cert(geometry, closing)
    return None if constant is None else [(abs(geometry.change), constant * root(geometry.size2))]


def _k_cert(geometry: Geometry, closing: Callable[[Geometry, Pair], Sequence[int]] = both) -> ivmpf | None:
    """K_cert of claim B5, or None where φ_ij > 0 is not certain for some pair."""
    gaps = _closed_angles(geometry, closing)
    if gaps is None:
        return None
    totals = geometry.row_sums({pair: geometry.pull(half) for pair, half in gaps.items()})
    reach2 = [segment_distance_squared(w, z) for w, z in zip(geometry.W, geometry.delta, strict=True)]
    squares = (total**2 / interval(m2) for total, m2 in zip(totals, reach2, strict=True))
    return TWO * geometry.lead * IV.sqrt(sum(squares, ZERO))


def upper_end(geometry: Geometry) -> Sequence[dict[Pair, HalfAngle]]:
    """The end with the larger energy; both where that is not certain."""
    ends = (geometry.after, geometry.before)
    if geometry.change.a > 0:
        return ends[:1]
    return ends[1:] if geometry.change.b < 0 else ends


def longer(before: Fraction, after: Fraction) -> ivmpf:
    """max(‖w_i‖, ‖ŵ_i‖), from their squares."""
    return root(max(before, after))


def unconditional(
    geometry: Geometry,
    *,
    ends: Callable[[Geometry], Sequence[dict[Pair, HalfAngle]]] = upper_end,
    length: Callable[[Fraction, Fraction], ivmpf] = longer,
    pull: Callable[[Geometry, HalfAngle], ivmpf] = Geometry.pull,
) -> Sides:
    """B8: |ΔHE| ≤ K*‖ΔW‖_F."""
    size = root(geometry.size2)
    lengths = [length(dot(w, w), dot(v, v)) for w, v in zip(geometry.W, geometry.moved, strict=True)]

    def bound(end: dict[Pair, HalfAngle]) -> ivmpf:
        totals = geometry.row_sums({pair: pull(geometry, half) for pair, half in end.items()})
        squares = ((total / far) ** 2 for total, far in zip(totals, lengths, strict=True))
        return TWO * geometry.lead * IV.sqrt(sum(squares, ZERO)) * size

    return [(abs(geometry.change), bound(end)) for end in ends(geometry)]


def angular(
    geometry: Geometry, *, arc: Callable[[ivmpf], ivmpf] = lambda turn: turn, weight: float = 2
) -> Sides:
    """B8 without lengths: −Σ_i 2s δ_i Σ_{j≠i} h(θ_ij) ≤ ΔHE ≤ Σ_i 2s δ_i Σ_{j≠i} h(θ̂_ij)."""

    def bound(totals: Sequence[ivmpf]) -> ivmpf:
        arcs = (arc(turn) * total for turn, total in zip(geometry.turns, totals, strict=True))
        return weight * geometry.lead * sum(arcs, ZERO)

    before, after = geometry.pull_sums
    return [(geometry.change, bound(after)), (-geometry.change, bound(before))]


def shorter_arcs(geometry: Geometry) -> Sides:
    """B8 with 1 − e^(−δ_i) in place of δ_i."""
    return angular(geometry, arc=lambda turn: 1 - IV.exp(-turn))


def below_certified(geometry: Geometry) -> Sides | None:
    """B8 against B5: K* ≤ K_cert wherever B5 applies."""
    constant = _k_cert(geometry)
    if constant is None:
        return None
    bound = constant * root(geometry.size2)
    return [(right, bound) for _, right in unconditional(geometry)]


def _squared_sum(first: ivmpf, second: ivmpf) -> ivmpf:
    """(δ_i + δ_j)²."""
    return (first + second) ** 2


def enclosure(
    geometry: Geometry,
    *,
    bend: Callable[[Geometry, HalfAngle], ivmpf] = Geometry.bend,
    closing: Callable[[Geometry, Pair], Sequence[int]] = both,
    spread: Callable[[ivmpf, ivmpf], ivmpf] = _squared_sum,
) -> Sides | None:
    """B9: |ΔHE − Σ_i δ_i⟨G_i, τ_i⟩| ≤ ½ Σ_{i≠j} q(φ_ij)(δ_i + δ_j)² where every φ_ij > 0."""
    gaps = _closed_angles(geometry, closing)
    if gaps is None:
        return None
    remainder = geometry.change - geometry.first_order
    return [(abs(remainder), _second_order(geometry, gaps, bend, spread))]


def sharp_enclosure(geometry: Geometry) -> Sides | None:
    """B9, two-sided: s cos²(φ/2) below and 1 + s cos²(φ/2) above, in place of 1 + (s + 2)cos²(φ/2)."""
    gaps = _closed_angles(geometry, both)
    if gaps is None:
        return None
    remainder = geometry.change - geometry.first_order

    def bound(constant: float, quadratic: float) -> ivmpf:
        def bend(of: Geometry, half: HalfAngle) -> ivmpf:
            return of.bend(half, constant, quadratic)

        return _second_order(geometry, gaps, bend, _squared_sum)

    return [(remainder, bound(1, geometry.s)), (-remainder, bound(0, 1))]


def _second_order(
    geometry: Geometry,
    gaps: dict[Pair, HalfAngle],
    bend: Callable[[Geometry, HalfAngle], ivmpf],
    spread: Callable[[ivmpf, ivmpf], ivmpf],
) -> ivmpf:
    """½ Σ_{i≠j} q(φ_ij)(δ_i + δ_j)²; each pair stands twice in the sum."""
    turns = geometry.turns
    terms = (bend(geometry, half) * spread(turns[i], turns[j]) for (i, j), half in gaps.items())
    return sum(terms, ZERO)


def largest(rows: Sequence[ivmpf]) -> ivmpf:
    """The largest of several intervals."""
    return IV.mpf([max(row.a for row in rows), max(row.b for row in rows)])


def _both_lengths(first: Fraction, second: Fraction) -> ivmpf:
    """√(‖w_i‖⁻² + ‖w_j‖⁻²), from the squares of the lengths."""
    return root(1 / first + 1 / second)


def edit_free(
    geometry: Geometry,
    *,
    bend: Callable[[Geometry, HalfAngle], ivmpf] = Geometry.bend,
    reach: Callable[[Fraction, Fraction], ivmpf] = _both_lengths,
    worst: Callable[[Sequence[ivmpf]], ivmpf] = largest,
    second: float = 2,
    arcsine: Callable[[ivmpf, ivmpf], ivmpf] = lambda x, cosine: IV.atan2(x, cosine),
) -> Sides | None:
    """B10 at ρ = ‖ΔW‖_F: |ΔHE| ≤ κK_gradρ + 2κ²ρ²Q(ρ) where ρ < min‖w_i‖ and its angles stay positive."""
    norms2 = [dot(w, w) for w in geometry.W]
    x2 = geometry.size2 / min(norms2)
    if not 0 < x2 < 1:
        return None
    x, rho = root(x2), root(geometry.size2)
    kappa = arcsine(x, root(1 - x2)) / x
    bends = {}
    for pair in geometry.pairs:
        i, j = pair
        theta = TWO * IV.atan2(*geometry.before[pair])
        phi = theta - kappa * rho * reach(norms2[i], norms2[j])
        if not phi.a > 0:
            return None
        bends[pair] = bend(geometry, (IV.sin(phi / 2), IV.cos(phi / 2)))
    rows = [total / interval(n2) for total, n2 in zip(geometry.row_sums(bends), norms2, strict=True)]
    bound = kappa * geometry.gradient_norm * rho + second * kappa**2 * rho**2 * worst(rows)
    return [(abs(geometry.change), bound)]


def narrower_edit_free(geometry: Geometry) -> Sides | None:
    """B10 with q₊ in place of q."""
    return edit_free(geometry, bend=lambda of, half: of.bend(half, 1, of.s))
