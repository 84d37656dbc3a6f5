"""Where neurons point before and after editing: angles of all pairs against uniform directions, and a map.

In d dimensions the angle φ of two independent uniform directions has the density sin^(d−2)φ / B(½, (d−1)/2),
within about 1/√d of a right angle. Directions that edits have drawn together or apart show in the tails.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.analysis.edited import Edited
from sphere_theory.analysis.experiment import Row
from sphere_theory.arrays import Array, as_count, as_matrix, as_real, full_precision
from sphere_theory.energy import energy
from sphere_theory.neurons import as_neurons
from sphere_theory.streams.hosts import random_weight
from sphere_theory.streams.job import MINILM_RIDGE

BEFORE, AFTER, UNIFORM = "before", "after", "uniform"
STATES = (BEFORE, AFTER, UNIFORM)
BIN, SUMMARY = "bin", "summary"

# Of a histogram, in degrees.
WIDTH = 0.5

# A bin that holds no pair and expects fewer than this many is left out.
_NOTHING = 1e-3

PERPLEXITY = 30.0

# Between the seed of a host and that of uniform directions, which must not be a synthetic layer's own.
_ASIDE = 1_000_003

# C0's eigenvalues below it belong to AlphaEdit's null space. The released 0.02 takes in 78% of the directions
# of MiniLM's layer 3 and none of a synthetic C0 of trace d and spectrum 1/k, of which this takes in 75%.
SYNTHETIC_THRESHOLD = 0.53

Vector = np.ndarray


@dataclass(frozen=True)
class NeuronAngles(Edited):
    """Angles of all pairs of neurons before and after editing, beside those of uniform directions.

    Parameters and errors are those of `Edited`: host, editor, sphere, edits, batch, seed.
    """

    name: ClassVar[str] = "neuron-angles"

    @full_precision()
    def rows(self, folder: Path) -> list[Row]:
        """Edit, and measure.

        Parameters
        ----------
        folder
            Where recorded keys are kept.

        Returns
        -------
        list of dict
            By "state" ("before", "after", and as many "uniform" directions drawn with the seed, which show
            what chance does): of "kind" "summary" one, as `angle_summary` returns it, "after" with the least,
            median and largest "turn" of a neuron in degrees, else NaN; of "kind" "bin" one for each bin:
            "low" and "high" in degrees, "count" and "expected" pairs; "host", "n" and "d" of all.
        """
        start = self.start(folder)
        before, after = start.memory.W, start.edited().W
        n, d = before.shape
        drawn = random_weight(n, d, seed=self.seed + _ASIDE).double()
        fixed = {"host": self.host, "n": n, "d": d}
        found: list[Row] = []
        for state, W in zip(STATES, (before, after, drawn), strict=True):
            turn = turns(before, W) if state == AFTER else np.full(1, np.nan)
            angles = np.quantile(turn, [0, 0.5, 1]).tolist()
            known = dict(zip(("turn_min", "turn", "turn_max"), angles, strict=True))
            found.append(fixed | {"state": state, "kind": SUMMARY} | angle_summary(W) | known)
            found += [fixed | {"state": state, "kind": BIN} | bar for bar in angle_bins(W)]
        return found


@dataclass(frozen=True)
class NeuronMap(Edited):
    """A joint t-SNE embedding of neurons' directions before and after editing.

    Parameters and errors are those of `Edited`: host, editor, sphere, edits, batch, seed; the seed is that
    of t-SNE too.

    Parameters
    ----------
    perplexity
        Of t-SNE. Default 30.
    """

    perplexity: float = PERPLEXITY

    name: ClassVar[str] = "neuron-map"

    def __post_init__(self) -> None:
        super().__post_init__()
        as_real(self.perplexity, "perplexity", low=1)

    @full_precision()
    def rows(self, folder: Path) -> list[Row]:
        """Edit, and embed.

        Parameters
        ----------
        folder
            Where recorded keys are kept.

        Returns
        -------
        list of dict
            One for each neuron and state: "neuron", "state" ("before" or "after"), "x", "y" (no unit), and
            "turn", the angle between the two states in degrees; "host", "n", "d".
        """
        start = self.start(folder)
        before, after = start.memory.W, start.edited().W
        (n, d), turned = before.shape, turns(before, after)
        fixed = {"host": self.host, "n": n, "d": d}
        places = joint_map([before, after], perplexity=self.perplexity, seed=self.seed)
        return [
            fixed
            | {"neuron": neuron, "state": state, "x": float(x), "y": float(y), "turn": float(turned[neuron])}
            for state, part in zip((BEFORE, AFTER), places, strict=True)
            for neuron, (x, y) in enumerate(part)
        ]


def _directions(W: Array, argument: str) -> Float[Tensor, "n d"]:
    return as_neurons(W, argument).directions(slice(None))


@full_precision()
def pair_angles(W: Array) -> Vector:
    """Angles of all pairs of neurons, in degrees.

    Parameters
    ----------
    W
        Weights, (n, d), n ≥ 2.

    Returns
    -------
    ndarray
        n(n−1)/2 angles between 0 and 180, float64, to about 1e-6 degrees.

    Raises
    ------
    InputError
        As for `energy`.
    """
    units = as_neurons(W, at_least=2).directions(slice(None))
    i, j = torch.triu_indices(len(units), len(units), offset=1)
    return np.degrees(np.arccos((units @ units.T)[i, j].clamp(-1, 1).cpu().numpy()))


@full_precision()
def turns(before: Array, after: Array) -> Vector:
    """Angle by which each neuron turned, in degrees.

    Parameters
    ----------
    before, after
        Weights, (n, d).

    Returns
    -------
    ndarray
        (n,), between 0 and 180.

    Raises
    ------
    InputError
        As for `energy`, or matrices of different shapes.
    """
    as_matrix(after, "after", rows=len(before), columns=before.shape[1])
    old, new = _directions(before, "before"), _directions(after, "after")
    # Of half the angle, sine and cosine: a cosine alone tells no angle below 1e-8.
    sine, cosine = (torch.linalg.vector_norm(side, dim=1) for side in (new - old, new + old))
    return np.degrees(2 * torch.atan2(sine, cosine).cpu().numpy())


def uniform_share(angle: Vector | float, d: int) -> Vector:
    """Probability that two independent uniform directions are at most at an angle.

    (1 − cos φ)/2 follows the beta distribution with both parameters (d−1)/2.

    Parameters
    ----------
    angle
        φ in degrees.
    d
        Dimension, at least 2.

    Returns
    -------
    ndarray
        Between 0 and 1; its derivative in φ is the density sin^(d−2)φ / B(½, (d−1)/2).

    Raises
    ------
    RangeError
        d below 2.
    """
    from scipy.special import betainc

    half = (as_count(d, "d", low=2) - 1) / 2
    return np.asarray(betainc(half, half, np.sin(np.radians(angle) / 2) ** 2))


def angle_bins(W: Array) -> list[dict[str, float]]:
    """Histogram of the angles of all pairs.

    Parameters
    ----------
    W
        Weights, (n, d), n ≥ 2.

    Returns
    -------
    list of dict
        "low" and "high" in degrees, "count", and "expected" of uniform directions; in bins of half a degree.
        Those that hold no pair and expect fewer than 0.001 are left out.

    Raises
    ------
    InputError
        As for `energy`.
    """
    angles, d = pair_angles(W), W.shape[1]
    edges, counts, expected = _histogram(angles, d)
    return [
        {"low": float(low), "high": float(high), "count": int(count), "expected": float(wanted)}
        for low, high, count, wanted in zip(edges, edges[1:], counts, expected, strict=False)
        if count or wanted >= _NOTHING
    ]


def _histogram(angles: Vector, d: int) -> tuple[Vector, Vector, Vector]:
    edges = np.linspace(0, 180, round(180 / WIDTH) + 1)
    counts, _ = np.histogram(angles, edges)
    return edges, counts, len(angles) * np.diff(uniform_share(edges, d))


def angle_summary(W: Array) -> dict[str, float]:
    """How far the angles of all pairs are from those of uniform directions.

    Parameters
    ----------
    W
        Weights, (n, d), n ≥ 2.

    Returns
    -------
    dict
        "pairs"; "angle_min", "angle_max", "angle_mean", "angle_sd" in degrees; "sd_uniform", the last one for
        uniform directions; "ks", the largest difference of the two distribution functions (Kolmogorov and
        Smirnov; pairs share neurons, so that its usual significance does not apply); "total_variation", half
        the sum over bins of half a degree of |count − expected|/pairs; "energy_uniform", HE over that of
        uniform directions.

    Raises
    ------
    InputError
        As for `energy`.
    """
    angles, d = np.sort(pair_angles(W)), W.shape[1]
    pairs = len(angles)
    share = uniform_share(angles, d)
    steps = np.arange(pairs + 1) / pairs
    _, counts, expected = _histogram(angles, d)
    return {
        "pairs": pairs,
        "angle_min": float(angles[0]),
        "angle_max": float(angles[-1]),
        "angle_mean": float(angles.mean()),
        "angle_sd": float(angles.std()),
        "sd_uniform": _uniform_spread(d),
        "ks": float(max((steps[1:] - share).max(), (share - steps[:-1]).max())),
        "total_variation": float(np.abs(counts - expected).sum() / (2 * pairs)),
        "energy_uniform": energy(torch.as_tensor(W), reduction="uniform"),
    }


def _uniform_spread(d: int) -> float:
    """Standard deviation of the angle of two uniform directions, in degrees."""
    edges = np.linspace(0, 180, 20001)
    middle = (edges[1:] + edges[:-1]) / 2
    return float(np.sqrt(np.diff(uniform_share(edges, d)) @ (middle - 90) ** 2))


def joint_map(states: Sequence[Array], *, perplexity: float = PERPLEXITY, seed: int) -> list[Vector]:
    """One t-SNE embedding of the directions of several states of a layer (van der Maaten and Hinton 2008).

    All states are embedded together, by cosine distance, so that a neuron that hardly turned lies beside
    itself. Near neighbours are all that the map keeps: distances between clusters, their sizes and the axes
    mean nothing.

    Parameters
    ----------
    states
        Weights, (n, d) each.
    perplexity
        About how many neighbours each point looks at; below the number of points.
    seed
        Of the optimisation, which begins at the first two principal components.

    Returns
    -------
    list of ndarray
        Places, (n, 2) for each state.

    Raises
    ------
    RangeError
        A perplexity that is not below the number of points.
    ImportError
        scikit-learn is not there: it comes with the extra "study".
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    units = np.concatenate([_directions(W, "states").cpu().numpy() for W in states])
    as_real(perplexity, "perplexity", low=1, high=len(units) - 1)
    tsne = TSNE(perplexity=perplexity, metric="cosine", init="pca", learning_rate="auto", random_state=seed)
    with threadpool_limits(1):  # sums over threads come in no fixed order
        places = tsne.fit_transform(units)
    return np.split(places, np.cumsum([len(W) for W in states])[:-1])


# Editors and what is set for each, on MiniLM and on a synthetic layer; SPHERE's η and α are the paper's.
EDITORS = {"memit-seq": (0.5, 0.8), "alphaedit": (0.5, 0.5), "ft": (0.5, 0.8)}
_SETTINGS = {
    "memit-seq": (f"ridge={MINILM_RIDGE:g}",),
    "alphaedit": ("l2=1.0",),
    "ft": (),
}
_OF_SYNTHETIC = {"alphaedit": (f"threshold={SYNTHETIC_THRESHOLD}",)}


def tasks(quick: bool) -> list[NeuronAngles | NeuronMap]:
    """All that figure 7 is drawn from.

    Parameters
    ----------
    quick
        Shorter streams, and maps of MiniLM under one editor alone.

    Returns
    -------
    list of NeuronAngles and NeuronMap
        Angles on three seeds, maps on one.
    """
    edits, chosen = 200 if quick else 2000, list[NeuronAngles | NeuronMap]()
    for host in _hosts(edits):
        chosen += [NeuronAngles(**host, seed=seed) for seed in range(3)]
        if not quick or (host["model"], host["editor"]) == ("minilm", "memit-seq"):
            chosen.append(NeuronMap(**host))
    return chosen


def _hosts(edits: int) -> Iterator[dict[str, Any]]:
    for model, source in (("minilm", "recorded"), ("synthetic", "gaussian")):
        for editor, sphere in EDITORS.items():
            settings = _SETTINGS[editor] + (_OF_SYNTHETIC.get(editor, ()) if model == "synthetic" else ())
            shared = {"model": model, "source": source, "editor": editor, "settings": settings}
            for projected in ((), sphere):
                yield {**shared, "sphere": projected, "edits": edits}
