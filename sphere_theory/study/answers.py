"""What a store says to the questions of the paper: tables of numbers with intervals.

Those of its reviewers are in `reviews`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from sphere_theory.analysis import selection
from sphere_theory.analysis.ablation import settings_reached
from sphere_theory.analysis.correlation import correlations
from sphere_theory.analysis.effects import differences
from sphere_theory.analysis.forecast import FOLDS, openings, out_of_sample, scores, usable
from sphere_theory.analysis.front import front_gaps, front_shares
from sphere_theory.analysis.gains import gains
from sphere_theory.analysis.interventions import CONTRASTS
from sphere_theory.analysis.resampling import SAMPLES
from sphere_theory.analysis.runs import METRICS, PREDICTORS, PROJECTED, gather
from sphere_theory.analysis.smallness import CRITERIA, ends_by_setting, ends_of_smallness, step_exponents
from sphere_theory.analysis.upkeep import CONTRASTS as UPKEEP_CONTRASTS
from sphere_theory.analysis.warning import SIGNALS, alarms, approaches, verdicts
from sphere_theory.bound import KINDS
from sphere_theory.figures.from_store import experiment_frame
from sphere_theory.study.estimates import (
    NONE,
    VERDICTS,
    WAYS,
    Audited,
    Estimate,
    Estimates,
    HostEstimates,
    Lines,
    Signal,
    about,
    audits,
    predicted,
    rounded,
)
from sphere_theory.study.page import number, span, table

if TYPE_CHECKING:
    import pandas as pd

    from sphere_theory.streams.store import RunStore

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Material:
    """A store, and what is read from it more than once.

    Attributes
    ----------
    store
        Of runs and experiments.
    samples
        Resamples for intervals.
    """

    store: RunStore
    samples: int = SAMPLES

    @cached_property
    def points(self) -> pd.DataFrame:
        """As `gather` returns them."""
        return gather(self.store)

    def of_hosts(self, choose: selection.Choice) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each host that has runs to choose, with them."""
        # Real layers first, whatever order their editors have.
        for host in sorted(
            self.points["host"].unique(), key=lambda host: (host.startswith("synthetic"), host)
        ):
            own = choose(self.points, host)
            if len(own):
                yield host, own

    @cached_property
    def estimates(self) -> Estimates:
        """What findings and ledger both quote."""
        chosen = self.of_hosts(selection.several_editors)
        hosts = tuple(_predictions(host, points, self.samples) for host, points in chosen)
        return Estimates(hosts, _audited(self.points))

    def rows(self, experiment: str) -> pd.DataFrame:
        """Of a kind of experiment, as `experiment_frame` returns them."""
        return experiment_frame(self.store, experiment)


def _counts(points: pd.DataFrame) -> tuple[int, int, int]:
    """Runs, seeds and edits of the longest."""
    return points["run"].nunique(), points["seed"].nunique(), int(points["edits"].max())


def headed(host: str, points: pd.DataFrame) -> str:
    """What a paragraph is about: a host, and how many of its runs."""
    return about(host, *_counts(points))


def predicts(material: Material) -> Lines:
    """Spearman's correlations, and the warning before collapse."""
    for found in material.estimates.hosts:
        yield from predicted(found)


def _predictions(host: str, points: pd.DataFrame, samples: int) -> HostEstimates:
    """A host's numbers on claim 1."""
    found = correlations(points, samples=samples)
    early = found[(found["phase"] == "before collapse") & (found["metric"] == "efficacy")]
    rows = approaches(points)
    warned = verdicts(rows, alarms(rows, by="base"), samples=samples).set_index("signal")
    signals = tuple(
        Signal(
            name,
            label,
            _correlation(early, name, "pooled"),
            _correlation(early, name, "given edits"),
            Estimate.of(warned.loc[name], "area"),
            **{key: rounded(warned.loc[name, key]) for key in ("warned", "lead", "early")},
        )
        for name, label in PREDICTORS.items()
    )
    ahead = warned[warned["beyond_low"] > 0].index
    behind = warned[warned["beyond_high"] < 0].index
    return HostEstimates(host, *_counts(points), signals, _labels(ahead), _labels(behind))


def _correlation(rows: pd.DataFrame, predictor: str, kind: str) -> Estimate:
    own = rows[(rows["predictor"] == predictor) & (rows["kind"] == kind)]
    return Estimate.of(own.iloc[0], "value") if len(own) else NONE


def _labels(signals: pd.Index) -> tuple[str, ...]:
    return tuple(SIGNALS[name] for name in signals)


def _audited(points: pd.DataFrame) -> Audited | None:
    """Verdicts of the audits along streams, of the constants that every one of them has."""
    if "total_certified" not in points:
        return None
    found = points.dropna(subset=["total_certified"])
    kinds = [kind for kind in KINDS if f"total_{kind}" in found and found[f"total_{kind}"].notna().all()]
    counts = {
        way: {
            kind: {name: int((found[f"{way}_{kind}"] == name).sum()) for name in VERDICTS} for kind in kinds
        }
        for way in WAYS
    }
    return Audited(len(found), found["run"].nunique(), counts)


def protects(material: Material) -> Lines:
    """What SPHERE adds, editor by editor."""
    for host, points in material.of_hosts(selection.paired):
        found = gains(points)
        yield f"{headed(host, points)}, at {int(found['edits'].iloc[0]):,} edits, with SPHERE less without:"
        yield gained(found)
        counts = []
        for name in METRICS:
            own = found[found["metric"] == name]
            up, down = int((own["low"] > 0).sum()), int((own["high"] < 0).sum())
            counts.append(f"{name} rises for {up} and falls for {down} of {len(own)}")
        yield f"By the intervals {'; '.join(counts)}."


def gained(found: pd.DataFrame) -> str:
    """Gains with intervals, a row an editor and a column a metric."""
    rows = []
    keys = [key for key in ("base", "settings", "eta", "alpha") if key in found]
    for (base, *_), own in found.groupby(keys, sort=False):
        by = own.set_index("metric")
        rows.append((str(base), *(spanned(by.loc[name], "gain", "+.3f") for name in METRICS)))
    return table(("editor", *METRICS), rows)


def spanned(row: Row | pd.Series, column: str, form: str = ".2f") -> str:
    """A column of a row with its interval."""
    return span((row[column], row["low"], row["high"]), form)


def bounded(material: Material) -> Lines:
    """Verdicts of Theorem 1, audited along streams and probed."""
    if material.estimates.audited is not None:
        yield from audits(material.estimates.audited)
    probe = material.rows("probe")
    if len(probe):
        yield "Probed with edits of every size and direction, an adversary among them:"
        counted = probe.assign(real=probe["layer"] >= 0).groupby(["real", "inputs", "constant"], sort=False)
        sums = counted[["trials", "applicable", "violations"]].sum()
        worst = counted["tightness"].max()
        yield table(
            (
                "weights",
                "inputs",
                "constant",
                "trials",
                "applicable",
                "violated",
                "bound over ‖ΔV‖², largest",
            ),
            [
                (
                    "MiniLM" if real else "Gaussian",
                    str(inputs),
                    f"K {kind}",
                    *(f"{int(n):,}" for n in row),
                    number(worst[real, inputs, kind], ".1e"),
                )
                for (real, inputs, kind), row in sums.iterrows()
            ],
        )


def smallness(material: Material) -> Lines:
    """Where the small-perturbation assumption stops holding."""
    for host, points in material.of_hosts(selection.step_sizes):
        ends = ends_of_smallness(points)
        found = ends_by_setting(ends).sort_values(["base", "editor", "strength"])
        yield (
            f"{headed(host, points)}, by the median size of a step. A count is the first measured point at "
            "which it no longer holds, so that it may stand for fewer edits (≤: it held at no point). The "
            "first order's error is relative to ΔHE, and large wherever ΔHE passes 0. "
            f"{_of_the_bound(points)}:"
        )
        rows = []
        for (editor, strength), own in found.groupby(["editor", "strength"], sort=False, dropna=False):
            by = own.set_index("criterion")
            cells = [
                ends_in_words(by.loc[[name]].to_dict("records")) if name in by.index else "–"
                for name in CRITERIA
            ]
            rows.append((str(editor), number(strength, "g"), number(own["step"].iloc[0], ".2e"), *cells))
        yield table(("editor", "λ", "‖ΔW_t‖/‖W‖", *CRITERIA.values()), rows)
        powers = [
            f"{CRITERIA[row['criterion']]}: {spanned(row, 'exponent')}"
            for row in step_exponents(ends).to_dict("records")
            if np.isfinite(row["exponent"])
        ]
        if powers:
            yield f"Edits ∝ stepᵖ with p = {'; '.join(powers)}."


def _of_the_bound(points: pd.DataFrame) -> str:
    """How the bound for every edit fares on the whole way, and how much of it |ΔHE| is."""
    violated = int((points["total_unconditional"] == "violated").sum())
    share = np.sqrt(points["total_unconditional_tightness"])
    return (
        f"The bound for every edit, ‖ΔV‖² ≥ (ΔHE/K*)², is violated at {violated} of {len(points):,} points; "
        f"|ΔHE| is {number(share.median(), '.1e')} of it, at most {number(share.max(), '.1e')}"
    )


def ends_in_words(rows: Iterable[Row]) -> str:
    """Edit counts at which something stopped holding.

    Parameters
    ----------
    rows
        Of `ends_by_setting`.

    Returns
    -------
    str
        Such as "≤ 500" or "≥ 700 (1 of 3 held)".
    """
    cells = []
    for row in rows:
        if row["held"] == row["seeds"]:
            cells.append(f"held to {row['edits']:,.0f}")
        elif row["at_once"]:
            cells.append(f"≤ {row['edits']:,.0f}")
        elif row["held"]:
            cells.append(f"≥ {row['edits']:,.0f} ({row['held']} of {row['seeds']} held)")
        else:
            cells.append(spanned(row, "edits", ",.0f"))
    return "; ".join(cells)


def sensitive(material: Material) -> Lines:
    """How much depends on η and α, and whether λ alone does as well."""
    for host, points in material.of_hosts(selection.grids_of):
        reached = settings_reached(points)
        sphere = reached[reached["kind"] == PROJECTED]
        yield f"{headed(host, points)}; means over seeds at the end, range over all η × α:"
        yield table(
            ("editor", "settings", *METRICS),
            [
                (
                    str(base),
                    str(len(own)),
                    *(f"{number(own[name].min())} to {number(own[name].max())}" for name in METRICS),
                )
                for base, own in sphere.groupby("base", sort=False)
            ],
        )
    for host, points in material.of_hosts(selection.fronts):
        yield f"{headed(host, points)}; settings against what turning the base editor's own strength reaches:"
        shares = front_shares(front_gaps(points), samples=material.samples)
        yield table(
            (
                "editor",
                "in place of P",
                "settings",
                "beyond",
                "beyond any curve through those λ",
                "dominated",
                "undecided",
                "off the curve",
                "share beyond",
                "furthest",
            ),
            [
                (
                    row["base"],
                    f"{PROJECTED}, {row['kind']}" if "=" in row["kind"] else row["kind"],
                    *(
                        str(row[name])
                        for name in ("settings", "beyond", "sure", "dominated", "undecided", "off the curve")
                    ),
                    spanned(row, "share"),
                    number(row["furthest"], ".3f"),
                )
                for row in shares.to_dict("records")
            ],
        )


def caused(material: Material) -> Lines:
    """Interventions on the energy, and on everything but the energy."""
    frame = material.rows("interventions")
    if len(frame):
        sizes = sorted(frame["size"].unique())
        size = sizes[(len(sizes) - 1) // 2]
        yield (
            f"One change of an edited layer of relative size {size:g}, first less second, paired by seed. A "
            "contrast is missing where an arm would have to go beyond the layer before any edit, or a "
            "rotation beyond half a turn:"
        )
        yield _contrasts(differences(frame[frame["size"] == size], CONTRASTS, ("size",)))
    frame = material.rows("upkeep")
    if len(frame):
        last = frame[frame["edits"] == frame.groupby(["host", "editor"])["edits"].transform("max")]
        yield "A step after every batch, metrics after the last edit, first less second, paired by seed:"
        yield _contrasts(differences(last, UPKEEP_CONTRASTS, ()))


def _contrasts(found: pd.DataFrame) -> str:
    rows = []
    for (host, editor, first, second), own in found.groupby(
        ["host", "editor", "first", "second"], sort=False
    ):
        by = own.set_index("value")
        cells = (spanned(by.loc[name], "mean", "+.3f") for name in METRICS)
        rows.append((str(host), str(editor), f"{first} − {second}", str(int(own["seeds"].min())), *cells))
    return table(("host", "editor", "contrast", "seeds", *METRICS), rows)


def forecasts(material: Material) -> Lines:
    """Collapse forecast from the first tenth of a stream, out of sample."""
    for host, points in material.of_hosts(selection.forecastable):
        runs = usable(openings(points))
        held = int((~np.isfinite(runs["collapse"])).sum())
        yield (
            f"{headed(host, points)}; {len(runs)} usable runs, {held} of them held to the end; mean factor "
            "off, and the share of collapses inside the 90% interval:"
        )
        tables = {}
        for fold, words in FOLDS.items():
            scored = scores(out_of_sample(runs, by=fold), samples=material.samples).set_index("model")
            tables[f"{words} ({scored['runs'].iloc[0]} runs scored)"] = scored
        first = next(iter(tables.values()))
        rows = [(str(name), *(_forecast(own.loc[name]) for own in tables.values())) for name in first.index]
        yield table(("seen", *tables), rows)


def _forecast(row: pd.Series) -> str:
    return f"{spanned(row, 'factor')} ({number(row['covered'], '.0%')})"
