"""Edits of given weights, and single motions of their neurons."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import assume
from hypothesis import strategies as st

from sphere_theory.arrays import Array, as_matrix, like
from sphere_theory.bound import bound_constant
from sphere_theory.energy import energy_gradient
from sphere_theory.neurons import as_neurons
from sphere_theory.samples import across
from sphere_theory.strategies.drawing import Reals, Strategy, built, generators, names_of, reals

DIRECTIONS = ("random", "tangent", "radial", "ascent", "descent", "low-rank")
LENGTHS = ("kept", "longer", "shorter")

# Share of the pulls on the neurons that their sum, the gradient, has to keep: below it is rounding.
_SLOPE = 1e-10

# Two neurons whose distance from each other, or from each other's opposite, is below this span no plane.
_PLANE = 1e-12


def edits(
    W: Array,
    *,
    directions: tuple[str, ...] = DIRECTIONS,
    size: Reals = st.sampled_from([1e-8, 1e-6, 1e-4, 1e-2, 1e-1, 1.0]),
) -> Strategy:
    """Edits ΔW of given weights, of a given relative size ‖ΔW‖_F/‖W‖_F.

    - "random": independent Gaussian entries;
    - "tangent": random, but each row orthogonal to its neuron, where d ≥ 2;
    - "radial": each neuron lengthened by a factor of its own, so that no direction changes;
    - "ascent", "descent": along +∇HE and −∇HE, where the gradient does not vanish;
    - "low-rank": a product of one column and one row, as of one MEMIT key.

    An example whose direction W does not have is discarded. Edits of float32 weights are float32: one
    of relative size 1e-8 is exact as such, though W + ΔW in float32 does not show it. Shrinks to the first
    direction and size.

    Parameters
    ----------
    W
        Weights, (n, d); without coincident neurons if the gradient is asked for.
    directions
        Which of them, in order of preference.
    size
        Relative size, at least 0.

    Returns
    -------
    SearchStrategy
        Of arrays ΔW, (n, d), of the kind of W; float32, or float64 where W is.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ZeroRowError
        As for `energy`.
    """
    units = as_neurons(W).directions(slice(None)).cpu().numpy()
    weights = as_matrix(W, "W")
    peak = float(weights.abs().max())  # divided out: the square of a large number may not be one
    scaled = weights.double().cpu().numpy() / peak

    def edit(direction: str, size: float, rng: np.random.Generator) -> Any:
        uphill = {"ascent": 1, "descent": -1}.get(direction)
        step = uphill * _slope(scaled) if uphill else _direction(rng, scaled, units, direction)
        step /= np.abs(step).max()
        step *= size * np.linalg.norm(scaled) / np.linalg.norm(step) * peak
        return like(torch.from_numpy(step).to(weights), W)

    names = names_of(directions, "directions", DIRECTIONS)
    return built(edit, names, reals(size, "size", low=0), generators("edits"))


def turns(
    W: Array,
    *,
    share: Reals = st.sampled_from([0.3, 1e-2, 1e-4, 1e-6, 0.49, -0.3]),
    lengths: tuple[str, ...] = LENGTHS,
) -> Strategy:
    """Edits that turn two neurons towards each other, each by one share of the angle between them.

    The pair is a random one, the other neurons stay, and with

    - "kept": the two keep their lengths;
    - "longer": Δw_i is orthogonal to w_i, so that ‖ŵ_i‖ = ‖w_i‖/cos δ;
    - "shorter": Δw_i is orthogonal to ŵ_i, so that ‖ŵ_i‖ = ‖w_i‖ cos δ: the shortest such edit.

    A pair that is antipodal to rounding has no plane and is discarded. Shrinks to the first share and length.

    Parameters
    ----------
    W
        Weights, (n, d), n ≥ 2, without coincident neurons.
    share
        Of their angle that each of the two turns, more than −½ and less than ½, where they would meet;
        negative: away from each other.
    lengths
        Which of them, in order of preference.

    Returns
    -------
    SearchStrategy
        Of arrays ΔW, (n, d), of the kind of W; float32, or float64 where W is.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ZeroRowError
        As for `energy`, and for a single neuron.
    """
    neurons = as_neurons(W, at_least=2)
    units = neurons.directions(slice(None)).cpu().numpy()
    norms = neurons.true_norms().cpu().numpy()

    def turn(share: float, length: str, rng: np.random.Generator) -> Any:
        pair = rng.choice(len(units), size=2, replace=False)
        here, there = units[pair], units[pair[::-1]]
        apart, together = (np.linalg.norm(here[0] + sign * here[1]) for sign in (-1, 1))
        aside = across(there - here, here)
        assume(np.linalg.norm(aside) > _PLANE)
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        delta = share * 2 * np.arctan2(apart, together)
        # Along û_i and across it; −2 sin²(δ/2) is cos δ − 1 without its cancellation.
        along, away = {
            "kept": (-2 * np.sin(delta / 2) ** 2, np.sin(delta)),
            "longer": (0.0, np.tan(delta)),
            "shorter": (-(np.sin(delta) ** 2), np.sin(delta) * np.cos(delta)),
        }[length]
        step = np.zeros_like(units)
        step[pair] = (along * here + away * aside) * norms[pair, None]
        return like(torch.from_numpy(step).to(as_matrix(W, "W")), W)

    half = np.nextafter(0.5, 0)
    return built(
        turn,
        reals(share, "share", low=-half, high=half),
        names_of(lengths, "lengths", LENGTHS),
        generators("turns"),
    )


def reversals(W: Array, *, remains: Reals = st.sampled_from([1.0, 1e-3, 0.1, 10.0])) -> Strategy:
    """Edits that send neurons through the origin, w_i ↦ −ε w_i; each is chosen with chance ½, one at least.

    Its direction turns by π, as far as one can, and its segment has the distance 0 from the origin: no
    bound that divides by that distance, or needs a small turn, has anything to say. Shrinks to the first ε.

    Parameters
    ----------
    W
        Weights, (n, d).
    remains
        ε > 0, what remains of the lengths.

    Returns
    -------
    SearchStrategy
        Of arrays ΔW, (n, d), of the kind of W; float32, or float64 where W is.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
        Not a matrix of finite real numbers.
    """
    weights = as_matrix(W, "W")

    def reverse(remains: float, rng: np.random.Generator) -> Any:
        chosen = rng.integers(2, size=len(weights))
        chosen[rng.integers(len(weights))] = 1
        factors = torch.from_numpy(-(1 + remains) * chosen).to(weights)
        return like(factors[:, None] * weights, W)

    return built(reverse, reals(remains, "remains", low=0, low_open=True), generators("reversals"))


def _direction(rng: np.random.Generator, scaled: np.ndarray, units: np.ndarray, direction: str) -> np.ndarray:
    n, d = units.shape
    match direction:
        case "tangent":
            assume(d > 1)
            return across(rng.normal(size=(n, d)), units)
        case "radial":
            return scaled * rng.uniform(0.1, 1, size=(n, 1))
        case "low-rank":
            return rng.normal(size=(n, 1)) @ rng.normal(size=(1, d))
    return rng.normal(size=(n, d))


def _slope(W: np.ndarray) -> np.ndarray:
    """∇HE; at a critical point, such as a simplex, what is computed for it is rounding, and no direction."""
    slope = energy_gradient(W)
    assume(np.abs(slope).max() > _SLOPE * bound_constant(W, kind="triangle"))
    return slope
