"""What is proved of every edit, attacked: B8, B9 and B10 on weights and edits drawn to break them.

Rows whose lengths differ by many orders of magnitude, neurons that nearly coincide or oppose each other,
edits ten times as long as the neurons, that reverse them, or make two of them close, exponents from 0 to 6,
inputs of any conditioning. A case counts as violated where the inequality fails by more than its rounding.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from sphere_theory.arrays import as_count
from sphere_theory.bound import BoundAudit, audit_bound
from sphere_theory.code import code_hash
from sphere_theory.enclosure import end_bounds, largest_change
from sphere_theory.energy import energy_gradient
from sphere_theory.errors import CertificateError, CoincidentNeuronsError, ZeroRowError
from sphere_theory.journal import Journal
from sphere_theory.motion import as_motion
from sphere_theory.neurons import Progress, silent
from sphere_theory.pulls import pulls_at_ends
from sphere_theory.samples import fits, orthonormal, structured

if TYPE_CHECKING:
    import pandas as pd

# What is claimed, and the outcomes of a case.
CLAIMS: Mapping[str, str] = MappingProxyType({
    "outputs": "‖ΔV‖² ≥ σ²(ΔHE/K*)² (B8)",
    "angles": "−Σ f δ h(θ) ≤ ΔHE ≤ Σ f δ h(θ̂) (B8)",
    "enclosure": "ΔHE between two numbers (B9)",
    "size": "|ΔHE| ≤ bound of ‖ΔW‖ alone (B10)",
})
OUTCOMES = ("holds", "undecided", "violated", "not applicable")

STRUCTURES = ("ordinary", "lengths", "near-coincident", "antipodal", "clustered", "simplex", "rank-deficient")

# A longer list of cases is made, and kept, this many at a time.
_BLOCK = 500


class Case(NamedTuple):
    """One attack.

    Attributes
    ----------
    structure, edit
        Names out of `STRUCTURES` and `EDITS`.
    W, delta
        Weights and edit, (n, d).
    inputs
        X, (d, m), or None for a basis of the whole space.
    s
        Exponent.
    """

    structure: str
    edit: str
    W: np.ndarray
    delta: np.ndarray
    inputs: np.ndarray | None
    s: float


def draw_case(seed: int, number: int) -> Case:
    """One of the attacks.

    Parameters
    ----------
    seed
        Seed of all of them.
    number
        Which.

    Returns
    -------
    Case
        The same at every call.
    """
    rng = np.random.default_rng([seed, number])
    structure, edit = STRUCTURES[number % len(STRUCTURES)], str(rng.choice(list(EDITS)))
    n, d = int(rng.integers(2, 7)), int(rng.integers(2, 9))
    s = float(rng.choice([0.0, 1.0, rng.uniform(0, 6), 6.0]))
    W = _weights(rng, structure, max(n, 2), d)
    size = 10 ** rng.uniform(-10, 1)
    return Case(structure, edit, W, EDITS[edit](rng, W, size, s), _inputs(rng, d), s)


def _weights(rng: np.random.Generator, structure: str, n: int, d: int) -> np.ndarray:
    angle = 10 ** rng.uniform(-6, -1)
    name = {"lengths": "ordinary", "antipodal": "near-coincident"}.get(structure, structure)
    W = structured(rng, n, d, name if fits(n, d, name) else "ordinary", angle, 4)
    if structure == "antipodal":
        W[-1] *= -1
    if structure == "lengths" or rng.random() < 0.25:
        W = W * 10 ** rng.uniform(-4, 4, size=(n, 1))
    return W


def _inputs(rng: np.random.Generator, d: int) -> np.ndarray | None:
    if rng.random() < 0.3:
        return None
    values = np.geomspace(1, 10 ** -rng.uniform(0, 12), d)
    return (orthonormal(rng, d, d) * values) @ orthonormal(rng, d + int(rng.integers(4)), d).T


def _lengths(W: np.ndarray) -> np.ndarray:
    return np.linalg.norm(W, axis=1, keepdims=True)


def _random(rng: np.random.Generator, W: np.ndarray, size: float, s: float) -> np.ndarray:
    return size * rng.normal(size=W.shape) * _lengths(W)


def _one_row(rng: np.random.Generator, W: np.ndarray, size: float, s: float) -> np.ndarray:
    edit = np.zeros_like(W)
    row = int(rng.integers(len(W)))
    edit[row] = _random(rng, W, size, s)[row]
    return edit


def _radial(rng: np.random.Generator, W: np.ndarray, size: float, s: float) -> np.ndarray:
    return W * size * rng.uniform(0, 1, size=(len(W), 1)) + 1e-8 * _random(rng, W, size, s)


def _reversing(rng: np.random.Generator, W: np.ndarray, size: float, s: float) -> np.ndarray:
    short = 10 ** rng.uniform(-6, 0, size=(len(W), 1))
    return -(1 + short) * W + _random(rng, W, 1e-2 * float(short.min()), s)


def _closing(rng: np.random.Generator, W: np.ndarray, size: float, s: float) -> np.ndarray:
    """Two neurons turn towards each other, each by a share of the angle between them."""
    edit = np.zeros_like(W)
    i, j = rng.choice(len(W), size=2, replace=False)
    u, v = W[[i, j]] / _lengths(W[[i, j]])
    angle = 2 * math.atan2(float(np.linalg.norm(u - v)), float(np.linalg.norm(u + v)))
    for k, here, there in ((i, u, v), (j, v, u)):
        turn = angle * min(size, rng.uniform(0, 0.6))
        across = there - (there @ here) * here
        length = np.linalg.norm(across)
        if length == 0:  # opposite to rounding: no direction is towards the other
            return _random(rng, W, size, s)
        turned = math.cos(turn) * here + math.sin(turn) * across / length
        edit[k] = rng.uniform(0.5, 2) * _lengths(W[[k]])[0] * turned - W[k]
    return edit


def _gradient(sign: int) -> Callable[[np.random.Generator, np.ndarray, float, float], np.ndarray]:
    def edit(rng: np.random.Generator, W: np.ndarray, size: float, s: float) -> np.ndarray:
        slope = energy_gradient(W, s=s)
        steepest = float(np.linalg.norm(slope))
        return sign * size * _lengths(W).min() * slope / steepest if steepest else _random(rng, W, size, s)

    return edit


EDITS: Mapping[str, Callable[[np.random.Generator, np.ndarray, float, float], np.ndarray]] = (
    MappingProxyType({
        "random": _random,
        "one row": _one_row,
        "radial": _radial,
        "reversing": _reversing,
        "closing": _closing,
        "ascent": _gradient(1),
        "descent": _gradient(-1),
    })
)


class Outcome(NamedTuple):
    """What became of one claim on one case.

    Attributes
    ----------
    verdict
        One of `OUTCOMES`.
    reached
        How much of the bound the change came to: 1 is sharp, more is a violation; nan where not applicable.
    """

    verdict: str
    reached: float


def attack(case: Case) -> dict[str, Outcome]:
    """Check the claims on one case.

    Parameters
    ----------
    case
        Weights, edit, inputs, exponent.

    Returns
    -------
    dict
        One outcome for each of `CLAIMS`; all not applicable where the edit makes neurons coincide or vanish.
    """
    try:
        audit = audit_bound(case.W, case.delta, case.inputs, s=case.s)
        motion = as_motion(case.W, case.delta)
        fall, rise = end_bounds(motion, pulls_at_ends(motion, case.s))
    except (ZeroRowError, CoincidentNeuronsError):
        return dict.fromkeys(CLAIMS, Outcome("not applicable", math.nan))
    check, inside = audit.check("unconditional"), audit.enclosure
    middle, half = (inside.low + inside.high) / 2, inside.width / 2
    room = rise if audit.energy_change > 0 else fall
    return {
        "outputs": Outcome(check.verdict, math.sqrt(check.tightness)),
        "angles": Outcome(_inside(audit, -fall, rise), _share(abs(audit.energy_change), room)),
        "enclosure": Outcome(
            _inside(audit, inside.low, inside.high), _share(abs(audit.energy_change - middle), half)
        ),
        "size": _of_size(case, audit),
    }


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _inside(audit: BoundAudit, low: float, high: float) -> str:
    least, most = audit.energy_change - audit.change_rounding, audit.energy_change + audit.change_rounding
    if low <= least and most <= high:
        return "holds"
    return "violated" if most < low or least > high else "undecided"


def _of_size(case: Case, audit: BoundAudit) -> Outcome:
    try:
        bound = largest_change(case.W, audit.edit_norm, s=case.s)
    except CertificateError:
        return Outcome("not applicable", math.nan)
    return Outcome(_inside(audit, -bound, bound), _share(abs(audit.energy_change), bound))


def attack_bounds(
    cases: int = 50_000, *, seed: int = 0, store: str | Path | None = None, progress: Progress = silent
) -> pd.DataFrame:
    """Attack B8, B9 and B10 with edits drawn to break them, and count what fails.

    Parameters
    ----------
    cases
        How many.
    seed
        Seed of all of them.
    store
        File of JSON lines, from which a later run of the same code and seed goes on; None to keep nothing.
    progress
        Called with the share of cases done.

    Returns
    -------
    pandas.DataFrame
        One row for each claim, structure and kind of edit: claim, structure, edit, a count for each of
        `OUTCOMES`, and reached_max: the largest share of its bound that a change came to.

    Raises
    ------
    RangeError
        `cases` < 1 or `seed` negative.
    InputError
        `store` is a file of another kind.
    """
    cases, seed = as_count(cases, "cases", low=1), as_count(seed, "seed", low=0)
    header = {"code": code_hash(__name__), "torch": torch.__version__, "attack": seed}
    kept = Journal(None if store is None else Path(store), header, "store")
    starts = range(0, cases, _BLOCK)
    done = {record["start"]: record for record in kept.records}
    blocks = []
    for start in starts:
        stop = min(start + _BLOCK, cases)
        if done.get(start, {}).get("stop") != stop:
            done[start] = kept.append({"start": start, "stop": stop, "rows": _block(seed, start, stop)})
        blocks.append(done[start]["rows"])
        progress(stop / cases)
    return _table(blocks)


def _block(seed: int, start: int, stop: int) -> list[list[object]]:
    """Counts and largest shares of a run of cases: [claim, structure, edit, outcome, count, reached]."""
    counts: Counter[tuple[str, str, str, str]] = Counter()
    reached: dict[tuple[str, str, str, str], float] = {}
    for number in range(start, stop):
        case = draw_case(seed, number)
        for claim, outcome in attack(case).items():
            key = (claim, case.structure, case.edit, outcome.verdict)
            counts[key] += 1
            if outcome.reached >= reached.get(key, 0.0):
                reached[key] = outcome.reached
    return [[*key, count, reached.get(key, 0.0)] for key, count in counts.items()]


def _table(blocks: list[list[list[object]]]) -> pd.DataFrame:
    import pandas as pd

    labels = ["claim", "structure", "edit"]
    rows = pd.DataFrame(
        [row for block in blocks for row in block], columns=[*labels, "outcome", "count", "reached_max"]
    )
    counts = rows.pivot_table("count", labels, "outcome", aggfunc="sum", fill_value=0)
    table = counts.reindex(columns=list(OUTCOMES), fill_value=0).astype(int)
    return table.join(rows.groupby(labels)["reached_max"].max()).reset_index()
