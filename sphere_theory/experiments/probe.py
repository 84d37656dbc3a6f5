"""Theorem 1 probed: how often, by how much and for want of which assumption each constant fails.

Edits of every size and direction, one of them searched for by an adversary, on inputs of every kind; each
audited by `audit_bound`. Ordinary weights, independent Gaussian neurons, unless a layer is given. `Probe` is
a small task of it for the study.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch

from sphere_theory.arrays import Array, as_choice, as_count, as_real
from sphere_theory.bound import KINDS, ORTHONORMAL, BoundAudit, audit_bound
from sphere_theory.code import code_hash
from sphere_theory.errors import InputError, RangeError, ShapeError
from sphere_theory.experiments.base import Experiment
from sphere_theory.experiments.regimes import TAYLOR_TOLERANCE
from sphere_theory.experiments.trials import DIRECTIONS, INPUTS, UNSEEN, Cell, Layer, as_layer, draw
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.journal import Journal, Record
from sphere_theory.neurons import Progress, silent

if TYPE_CHECKING:
    import pandas as pd

SHAPES = ((2, 2), (4, 3), (6, 10), (12, 4), (12, 10))
SIZES = tuple(10.0**k for k in range(-8, 2))
CONDITIONS = (1e2, 1e4, 1e6, 1e8)

# A Taylor term below this share of K_tri‖ΔW‖ is the rounding of ΔHE, as all of ΔHE is for radial edits.
_ROUNDING = 1e-12


def probe_bound(
    *,
    shapes: Iterable[tuple[int, int]] = SHAPES,
    sizes: Iterable[float] = SIZES,
    inputs: Iterable[str] = INPUTS,
    conditions: Iterable[float] = CONDITIONS,
    directions: Iterable[str] = DIRECTIONS,
    trials: int = 41,
    s: float = 1.0,
    seed: int = 0,
    W: Array | None = None,
    keys: Array | None = None,
    store: str | Path | None = None,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Audit Theorem 1 over edit sizes, shapes, inputs and directions, and count what fails.

    Inputs X are

    - "orthonormal": a basis of the whole space;
    - "partial": m < d orthonormal columns;
    - "conditioned": 2d columns, singular values falling geometrically from 1 to 1/condition;
    - "deficient": 2d columns of rank below d, its singular values 1;
    - "activations": the keys, if W and keys are given.

    Edits ΔW are

    - "random": Gaussian;
    - "tangent": Gaussian, each row orthogonal to its neuron;
    - "radial": each neuron lengthened by a factor of its own;
    - "ascent", "descent": along +∇HE and −∇HE;
    - "low-rank": a MEMIT batch on Gaussian keys, or on the layer's;
    - "adversarial": what projected gradient ascent on |ΔHE|/(K‖ΔW X‖) finds among edits of that size. It
      moves in the weakest directions of X alone, and starts from +∇HE, −∇HE and at random.

    What a cell comes to depends on its own coordinates, `trials`, `s` and `seed`, not on the rest of the
    sweep; all directions of a cell meet the same W and X. The defaults are 10⁵ trials, a few minutes; fewer
    sizes or trials make a quick look. Every cell is kept in `store` as soon as it is measured, and a later
    run of the same code, trials, s, seed and layer takes it from there.

    Parameters
    ----------
    shapes
        Pairs (n, d), n ≥ 2, d ≥ 2; may be empty if a layer is given.
    sizes
        Relative sizes ‖ΔW‖_F/‖W‖_F, positive.
    inputs
        Names out of `INPUTS`.
    conditions
        Condition numbers of the "conditioned" inputs, 1 to 1e11.
    directions
        Names out of `DIRECTIONS`.
    trials
        Audits for each cell; one where nothing is drawn, as for a layer along its gradient.
    s
        Exponent of the energy, s ≥ 0.
    seed
        Seed of everything drawn.
    W, keys
        A layer, (n, d), and inputs of it, (d, m): adds the cells of its "activations". The keys have to
        span the space for "low-rank" edits, and ∇HE(W) must not vanish.
    store
        File of JSON lines; None to keep nothing.
    progress
        Called with the share of cells done.

    Returns
    -------
    pandas.DataFrame
        One row for each cell and constant, with the columns of `Cell` and

        - constant: "unconditional", "gradient", "triangle" or "certified";
        - trials, applicable, violations, undecided: counts, the last of those whose two sides are equal to
          their rounding; violation_rate: violations/applicable;
        - worst_margin: min 1 − lower_bound/‖ΔV‖²; worst_trial: where, for `trials.draw`;
        - tightness_median, tightness_max: of lower_bound/‖ΔV‖²;
        - not_orthonormal, uncovered, not_small, uncertified: share of trials with ‖XᵀX − I‖₂ > 1e-5; with
          σ = 0 on the row space of ΔW; whose first order is off by more than 10%; without certificate.

        Rates, margin and tightness are nan where no trial is applicable.

    Raises
    ------
    RangeError, ShapeError
        An axis that is empty or holds what it cannot; a count, exponent or seed out of range.
    InputError
        Only one of W and keys; a layer as above excludes; a store that is a file of another kind.
    DTypeError, NonFiniteError, ZeroRowError, CoincidentNeuronsError
        As for `energy_gradient`, of W.
    """
    s, seed, trials = as_real(s, "s", low=0), as_count(seed, "seed", low=0), as_count(trials, "trials", low=1)
    axes = _axes(shapes, sizes, inputs, conditions, directions)
    layer = None if W is None and keys is None else as_layer(W, keys, s=s)
    cells = list(_cells(axes, layer))
    kept = Journal(None if store is None else Path(store), _header(trials, s, seed, layer), "store")
    done = {record["cell"]: record["rows"] for record in kept.records}
    rows: list[Record] = []
    for k, cell in enumerate(cells):
        name = repr(cell)
        if name not in done:
            measured = _measure(cell, trials, s, seed, layer)
            done[name] = kept.append({"cell": name, "rows": measured})["rows"]
        rows += done[name]
        progress((k + 1) / len(cells))
    return _table(rows)


def summary(table: pd.DataFrame, constant: str = "gradient") -> pd.DataFrame:
    """Rate of violation by direction and size, over everything else.

    Parameters
    ----------
    table
        What `probe_bound` returned, or some of its rows.
    constant
        "unconditional", "gradient", "triangle" or "certified".

    Returns
    -------
    pandas.DataFrame
        Violations over applicable trials, directions × sizes; nan where no trial is applicable.

    Raises
    ------
    RangeError
        Another constant.
    """
    as_choice(constant, "constant", KINDS)
    mine = table[table["constant"] == constant]
    counts = mine.groupby(["direction", "size"], sort=False)[["violations", "applicable"]].sum()
    rates = (counts["violations"] / counts["applicable"]).unstack("size")
    return rates.loc[[name for name in DIRECTIONS if name in rates.index], sorted(rates.columns)]


# --- a task of the study ------------------------------------------------------------------------

# In place of a layer's number.
SYNTHETIC = -1


@dataclass(frozen=True)
class Probe(Experiment):
    """Edits of every direction and size against all constants.

    Parameters
    ----------
    layer
        Of `family`, with recorded keys as inputs; `SYNTHETIC`: Gaussian weights with every kind of inputs.
    shape
        (n, d) of synthetic weights.
    sizes
        Relative sizes of the edits.
    trials
        Audits for each cell.
    seed
        Of everything drawn.
    """

    name: ClassVar[str] = "probe"
    # Whose layers are probed.
    family: ClassVar[type[MiniLM]] = MiniLM

    layer: int = SYNTHETIC
    shape: tuple[int, int] = (12, 10)
    sizes: tuple[float, ...] = SIZES
    trials: int = 3
    seed: int = 0

    def rows(self, folder: Path) -> list[Record]:
        """Probe.

        Parameters
        ----------
        folder
            Where recorded keys are kept.

        Returns
        -------
        list of dict
            As the rows of `probe_bound`, with tightness, the worst of each cell.
        """
        common: dict[str, Any] = {"sizes": self.sizes, "trials": self.trials, "seed": self.seed}
        if self.layer == SYNTHETIC:
            table = probe_bound(shapes=[self.shape], conditions=[1e6], **common)
        else:
            host = self.family(layer=self.layer, source="recorded")
            W, keys = host.weight().double(), host.recorded(folder).keys.double()
            # Subjects repeat, so that the keys do not span the space, which low-rank edits here would need.
            directions = [name for name in DIRECTIONS if name != "low-rank"]
            table = probe_bound(shapes=[], W=W, keys=keys.T, directions=directions, **common)
        rows: list[Record] = table.assign(tightness=table["tightness_max"]).to_dict("records")
        return rows


# --- the sweep ----------------------------------------------------------------------------------


class _Axes(NamedTuple):
    shapes: list[tuple[int, int]]
    sizes: list[float]
    inputs: list[tuple[str, float]]
    directions: list[str]


def _axes(shapes: Any, sizes: Any, inputs: Any, conditions: Any, directions: Any) -> _Axes:
    ratios = _axis(conditions, "conditions", partial(as_real, low=1, high=0.1 / UNSEEN))
    expanded = {"orthonormal": [1.0], "conditioned": ratios}
    kinds = _axis(inputs, "inputs", partial(as_choice, choices=INPUTS))
    return _Axes(
        _axis(shapes, "shapes", _shape, least=0),
        _axis(sizes, "sizes", partial(as_real, low=0, low_open=True)),
        [(kind, ratio) for kind in kinds for ratio in expanded.get(kind, [math.inf])],
        _axis(directions, "directions", partial(as_choice, choices=DIRECTIONS)),
    )


def _axis(values: Any, argument: str, check: Callable[..., Any], least: int = 1) -> list[Any]:
    """The checked values of one axis, each once."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise RangeError(argument, "a list of values", repr(values))
    checked = list(dict.fromkeys(check(value, argument) for value in values))
    if len(checked) < least:
        raise RangeError(argument, "at least one value", repr(values))
    return checked


def _shape(value: Any, argument: str) -> tuple[int, int]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ShapeError(argument, "pairs (n, d)", repr(value))
    n, d = (as_count(length, argument, low=2) for length in value)
    return n, d


def _cells(axes: _Axes, layer: Layer | None) -> Iterator[Cell]:
    places = [(n, d, kind, ratio) for (n, d), (kind, ratio) in product(axes.shapes, axes.inputs)]
    if layer is not None:
        n, d = layer.W.shape
        places.append((n, d, "activations", layer.condition))
        if "low-rank" in axes.directions and layer.condition == math.inf:
            raise InputError("keys", "keys that span the space, for low-rank edits", "keys that do not")
    if not places:
        raise RangeError("shapes", "at least one pair (n, d), or W and keys", "none")
    for (n, d, kind, ratio), size, direction in product(places, axes.sizes, axes.directions):
        yield Cell(n, d, size, kind, ratio, direction)


def _header(trials: int, s: float, seed: int, layer: Layer | None) -> Record:
    return {
        "code": code_hash(__name__),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "trials": trials,
        "s": s,
        "seed": seed,
        "layer": layer.digest if layer else None,
    }


# --- one cell -----------------------------------------------------------------------------------


def _measure(cell: Cell, trials: int, s: float, seed: int, layer: Layer | None) -> list[Record]:
    """One row for each constant, as plain values."""
    fixed = cell.inputs == "activations" and cell.direction in {"ascent", "descent"}
    audits, failures = [], []
    for trial in range(1 if fixed else trials):
        case = draw(cell, trial, s=s, seed=seed, layer=layer)
        audits.append(audit_bound(case.W, case.delta, case.inputs.X, s=s))
        failures.append(_failures(audits[-1]))
    shares = {name: float(np.mean([failure[name] for failure in failures])) for name in failures[0]}
    rows = []
    for kind in KINDS:
        outcomes = [(audit.check(kind).verdict, audit.check(kind).tightness) for audit in audits]
        rows.append(_plain(asdict(cell) | {"constant": kind} | _statistics(outcomes) | shares))
    return rows


def _failures(audit: BoundAudit) -> dict[str, bool]:
    """Which assumptions a trial does not meet."""
    triangle = audit.check("triangle").constant
    taylor = abs(audit.energy_change - audit.first_order_change)
    return {
        "not_orthonormal": audit.orthonormality_error > ORTHONORMAL,
        "uncovered": audit.input_strength == 0,
        "not_small": audit.first_order_error > TAYLOR_TOLERANCE
        and taylor > _ROUNDING * triangle * audit.edit_norm,
        "uncertified": audit.check("certified").verdict == "not applicable",
    }


def _statistics(outcomes: Sequence[tuple[str, float]]) -> Record:
    verdicts = [verdict for verdict, _ in outcomes]
    tightness = np.array([value for _, value in outcomes])
    applicable, violations = len(verdicts) - verdicts.count("not applicable"), verdicts.count("violated")
    compared = not np.isnan(tightness).all()
    largest = float(np.nanmax(tightness)) if compared else math.nan
    return {
        "trials": len(verdicts),
        "applicable": applicable,
        "violations": violations,
        "undecided": verdicts.count("undecided"),
        "violation_rate": violations / applicable if applicable else math.nan,
        "worst_margin": 1 - largest,
        "worst_trial": int(np.nanargmax(tightness)) if compared else -1,
        "tightness_median": float(np.nanmedian(tightness)) if compared else math.nan,
        "tightness_max": largest,
    }


def _plain(row: Record) -> Record:
    """NaN and infinity by name, since JSON has neither number."""
    return {
        name: repr(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }


def _table(rows: list[Record]) -> pd.DataFrame:
    import pandas as pd

    words = ("inputs", "direction", "constant")
    counts = ("n", "d", "trials", "applicable", "violations", "undecided", "worst_trial")
    table = pd.DataFrame(rows)
    return table.astype({name: float for name in table.columns if name not in words + counts})
