"""P1 on one seed: how |ΔHE| and ‖ΔW‖ go with efficacy along the streams that a run of the ledger has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from sphere_theory.claims.context import Context
from sphere_theory.claims.ledger import Finding
from sphere_theory.claims.measurements.base import Row, against
from sphere_theory.claims.streams import Streamed, all_streams
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.study.collapses import collapses
from sphere_theory.study.estimates import ENERGY, SIZE, Estimate, HostEstimates, committed_estimates
from sphere_theory.study.run_table import STUDY
from sphere_theory.study.statistics import Clusters, dense_codes, interval, resampled, weighted_ranks

if TYPE_CHECKING:
    import pandas as pd

# Resamples of rows for an interval.
SAMPLES = 500
# The study's host that these streams are of.
_STUDIED = f"{MiniLM().weights}, {MiniLM().source}"
EARLY = "all, before collapse"
RECORDED = "the study, before collapse, runs"


def _correlated(frame: pd.DataFrame, seed: int) -> tuple[Estimate, Estimate] | None:
    """Spearman's ρ of |ΔHE| and of ‖ΔW‖ with efficacy, with intervals from resampling rows.

    Parameters
    ----------
    frame
        Rows with efficacy, energy_change and edit_norm.
    seed
        Of the resamples.

    Returns
    -------
    tuple of Estimate or None
        None where efficacy does not move.
    """
    if frame["efficacy"].nunique() < 2:
        return None
    codes = dense_codes(frame[["efficacy", "energy_change", "edit_norm"]].abs().to_numpy(dtype=float))

    def statistic(weights: np.ndarray) -> np.ndarray:
        ranks = np.stack([weighted_ranks(column, weights) for column in codes.T])
        products = np.cov(ranks, fweights=weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            return products[0, 1:] / np.sqrt(products[0, 0] * products.diagonal()[1:])

    values = statistic(np.ones(len(frame), dtype=int))
    drawn = resampled(statistic, Clusters.of(np.arange(len(frame))), samples=SAMPLES, seed=seed)
    found = [Estimate(float(value), *interval(drawn[:, k])) for k, value in enumerate(values)]
    return found[0], found[1]


def _before_collapse(streamed: Mapping[str, Streamed]) -> pd.DataFrame:
    import pandas as pd

    facts = dict.fromkeys((*STUDY, "base", "settings"), "") | {"seed": 0, "lost_at": math.nan}
    parts = [one.frame.assign(run=name, editor=name, **facts) for name, one in streamed.items()]
    points = pd.concat(parts, ignore_index=True)
    ends = collapses(points).set_index("run")["collapse"]
    return points[points["edits"] < points["run"].map(ends)]


def _correlation_rows(streamed: Mapping[str, Streamed], seed: int) -> list[Row]:
    """One row for each stream whose efficacy moves, and one for all points before a collapse.

    Parameters
    ----------
    streamed
        Streams by name.
    seed
        Of the resamples.

    Returns
    -------
    list of dict
        Stream, points, HE and norm: value, low and high of ρ with efficacy.
    """
    frames = {name: one.frame for name, one in streamed.items()} | {EARLY: _before_collapse(streamed)}
    rows = []
    for name, frame in frames.items():
        if found := _correlated(frame, seed):
            HE, norm = map(asdict, found)
            rows.append({"editor": name, "points": len(frame), "HE": HE, "norm": norm})
    return rows


def _studied() -> HostEstimates:
    return next(host for host in committed_estimates().hosts if host.host.startswith(_STUDIED))


def _recorded(host: HostEstimates) -> Row:
    spans = {key: asdict(host.signal(name).correlation) for key, name in (("HE", ENERGY), ("norm", SIZE))}
    return {"editor": RECORDED, "points": host.runs, **spans}


def as_studied(row: Row) -> bool:
    """Whether the intervals of a row meet those that the study recorded for this host."""
    host = _studied()
    return all(
        Estimate(**row[key]).meets(host.signal(name).correlation)
        for key, name in (("HE", ENERGY), ("norm", SIZE))
    )


def alike(row: Row) -> bool:
    """Whether |ΔHE| and ‖ΔW‖ go with efficacy equally closely, by their intervals."""
    return Estimate(**row["HE"]).meets(Estimate(**row["norm"]))


def _sure(row: Row) -> bool:
    """Whether ρ = ±1 lies outside the interval of |ΔHE|."""
    return bool(row["HE"]["low"] > -1 and row["HE"]["high"] < 1)


@against(
    "rows",
    {
        "|ΔHE| tells of a stream what ‖ΔW‖ does not": lambda row: (
            abs(row["HE"]["value"] - row["norm"]["value"]) < 0.05
        ),
        "efficacy falls with the one and rises with the other": lambda row: (
            row["HE"]["value"] * row["norm"]["value"] > 0.02
        ),
        "ρ(|ΔHE|) = ±1 on this host, as the paper has it": _sure,
    },
)
def energy_predicts(context: Context) -> Finding:
    """A first look on one seed: ρ of |ΔHE| and of ‖ΔW‖ with efficacy, in each stream and over all of them.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if within a stream |ΔHE| goes with efficacy no more closely than ‖ΔW‖ does, by intervals
        over its rows, and if over all points before a collapse both intervals meet those that the study
        recorded for this host. In 400 edits nothing collapses, and efficacy moves in few streams.
    """
    host = _studied()
    rows = [*_correlation_rows(all_streams(context), context.seed), _recorded(host)]
    within = [row for row in rows if row["editor"] not in {EARLY, RECORDED}]
    pooled = [row for row in rows if row["editor"] == EARLY]
    told = "; ".join(
        f"{row['editor']} ({row['points']}) {Estimate(**row['HE'])} / {Estimate(**row['norm'])}"
        for row in rows
    )
    missing = not pooled and not context.quick
    return Finding(
        expected=bool(within) and all(map(alike, within)) and all(map(as_studied, pooled)) and not missing,
        summary=f"ρ(|ΔHE|, efficacy) / ρ(‖ΔW‖, efficacy), stream (points): {told}",
        margin="one seed, intervals over its rows; the study's over runs",
        data={"rows": rows},
    )
