"""What a store says to each question: tables of numbers with intervals, and words chosen by them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from sphere_theory.analysis import selection
from sphere_theory.analysis.ablation import settings_reached
from sphere_theory.analysis.correlation import correlations
from sphere_theory.analysis.cost_growth import constancy, exponents, predictions
from sphere_theory.analysis.effects import differences
from sphere_theory.analysis.forecast import FOLDS, openings, out_of_sample, scores, usable
from sphere_theory.analysis.front import front_gaps, front_shares
from sphere_theory.analysis.gains import gains
from sphere_theory.analysis.interventions import CONTRASTS
from sphere_theory.analysis.resampling import SAMPLES, mean_interval
from sphere_theory.analysis.review import TURNING, courses, projection_costs, refreshed, timings
from sphere_theory.analysis.runs import METRICS, PREDICTORS, PROJECTED, gather
from sphere_theory.analysis.smallness import CRITERIA, ends_by_setting, ends_of_smallness, step_exponents
from sphere_theory.analysis.spaces import SPACES
from sphere_theory.analysis.upkeep import CONTRASTS as UPKEEP_CONTRASTS
from sphere_theory.analysis.warning import SIGNALS, alarms, approaches, verdicts
from sphere_theory.bound import KINDS
from sphere_theory.figures.cost import in_units, operation_words, operations_of
from sphere_theory.figures.from_store import experiment_frame
from sphere_theory.study.page import judged, number, span, table

if TYPE_CHECKING:
    import pandas as pd

    from sphere_theory.streams.store import RunStore

Lines = Iterator[str]
Cells = Iterator[tuple[str, ...]]
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

    def rows(self, experiment: str) -> pd.DataFrame:
        """Of a kind of experiment, as `experiment_frame` returns them."""
        return experiment_frame(self.store, experiment)


def _about(host: str, points: pd.DataFrame) -> str:
    runs, seeds = points["run"].nunique(), points["seed"].nunique()
    return f"**{host}** ({runs} runs, {seeds} seeds, to {int(points['edits'].max()):,} edits)"


def predicts(material: Material) -> Lines:
    """Spearman's correlations, and the warning before collapse."""
    for host, points in material.of_hosts(selection.several_editors):
        found = correlations(points, samples=material.samples)
        early = found[(found["phase"] == "before collapse") & (found["metric"] == "efficacy")]
        rows = approaches(points)
        warned = verdicts(rows, alarms(rows, by="base"), samples=material.samples).set_index("signal")
        yield _about(host, points) + ":"
        yield table(
            (
                "predictor",
                "ρ with efficacy before collapse",
                "the same, given edits",
                "AUC, near collapse",
                "collapses warned of, and lead",
                "false alarms",
            ),
            [
                (
                    label,
                    *(_correlation(early, name, kind) for kind in ("pooled", "given edits")),
                    _spanned(warned.loc[name], "area"),
                    f"{number(warned.loc[name, 'warned'], '.0%')}, "
                    f"{number(warned.loc[name, 'lead'], ',.0f')} edits",
                    number(warned.loc[name, "early"], ".0%"),
                )
                for name, label in PREDICTORS.items()
            ],
        )
        ahead = warned[warned["beyond_low"] > 0].index
        behind = warned[warned["beyond_high"] < 0].index
        yield (
            f"Better warnings than |ΔHE| (interval of the difference above 0): {_named(ahead)}. "
            f"Worse: {_named(behind)}."
        )


def _correlation(rows: pd.DataFrame, predictor: str, kind: str) -> str:
    own = rows[(rows["predictor"] == predictor) & (rows["kind"] == kind)]
    return _spanned(own.iloc[0], "value") if len(own) else "–"


def _named(signals: pd.Index) -> str:
    return "; ".join(SIGNALS[name] for name in signals) or "none"


def protects(material: Material) -> Lines:
    """What SPHERE adds, editor by editor."""
    for host, points in material.of_hosts(selection.paired):
        found = gains(points)
        yield f"{_about(host, points)}, at {int(found['edits'].iloc[0]):,} edits, with SPHERE less without:"
        yield _gained(found)
        counts = []
        for name in METRICS:
            own = found[found["metric"] == name]
            up, down = int((own["low"] > 0).sum()), int((own["high"] < 0).sum())
            counts.append(f"{name} rises for {up} and falls for {down} of {len(own)}")
        yield f"By the intervals {'; '.join(counts)}."


def _gained(found: pd.DataFrame) -> str:
    """Gains with intervals, a row an editor and a column a metric."""
    rows = []
    keys = [key for key in ("base", "settings", "eta", "alpha") if key in found]
    for (base, *_), own in found.groupby(keys, sort=False):
        by = own.set_index("metric")
        rows.append((str(base), *(_spanned(by.loc[name], "gain", "+.3f") for name in METRICS)))
    return table(("editor", *METRICS), rows)


def _spanned(row: Row | pd.Series, column: str, form: str = ".2f") -> str:
    """A column of a row with its interval."""
    return span((row[column], row["low"], row["high"]), form)


def bounded(material: Material) -> Lines:
    """Verdicts of Theorem 1, audited along streams and probed."""
    points = material.points
    if "total_certified" in points:
        audits = points.dropna(subset=["total_certified"])
        rows = []
        for way, words in (("step", "single steps"), ("total", "whole ways")):
            for kind in KINDS:
                counts = audits[f"{way}_{kind}"].value_counts()
                cells = (f"{counts.get(verdict, 0):,}" for verdict in ("holds", "violated", "not applicable"))
                rows.append((words, f"K {kind}", *cells))
        yield f"Audits at {len(audits):,} points of {audits['run'].nunique()} streams:"
        yield table(("of", "constant", "holds", "violated", "not applicable"), rows)
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
            f"{_about(host, points)}, by the median size of a step. A count is the first measured point at "
            "which it no longer holds, so that it may stand for fewer edits (≤: it held at no point). The "
            "first order's error is relative to ΔHE, and large wherever ΔHE passes 0:"
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
            f"{CRITERIA[row['criterion']]}: {_spanned(row, 'exponent')}"
            for row in step_exponents(ends).to_dict("records")
            if np.isfinite(row["exponent"])
        ]
        if powers:
            yield f"Edits ∝ stepᵖ with p = {'; '.join(powers)}."


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
            cells.append(_spanned(row, "edits", ",.0f"))
    return "; ".join(cells)


def sensitive(material: Material) -> Lines:
    """How much depends on η and α, and whether λ alone does as well."""
    for host, points in material.of_hosts(selection.grids_of):
        reached = settings_reached(points)
        sphere = reached[reached["kind"] == PROJECTED]
        yield f"{_about(host, points)}; means over seeds at the end, range over all η × α:"
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
        yield f"{_about(host, points)}; settings against what turning the base editor's own strength reaches:"
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
                    _spanned(row, "share"),
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
        cells = (_spanned(by.loc[name], "mean", "+.3f") for name in METRICS)
        rows.append((str(host), str(editor), f"{first} − {second}", str(int(own["seeds"].min())), *cells))
    return table(("host", "editor", "contrast", "seeds", *METRICS), rows)


def forecasts(material: Material) -> Lines:
    """Collapse forecast from the first tenth of a stream, out of sample."""
    for host, points in material.of_hosts(selection.forecastable):
        runs = usable(openings(points))
        held = int((~np.isfinite(runs["collapse"])).sum())
        yield (
            f"{_about(host, points)}; {len(runs)} usable runs, {held} of them held to the end; mean factor "
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
    return f"{_spanned(row, 'factor')} ({number(row['covered'], '.0%')})"


# Keys of a batch.
_SET = 100


def orthonormal(material: Material) -> Lines:
    """How far keys are from the theorem's inputs, and how large ΔW grows."""
    keys = material.rows("keys")
    if len(keys):
        sets = keys[(keys["kind"] == "set") & (keys["of"] == "preserved")]
        size = _SET if _SET in set(sets["keys"]) else sets["keys"].max()
        rows = []
        for host, own in sets[sets["keys"] == size].groupby("host", sort=False):
            spectrum = keys[(keys["host"] == host) & (keys["kind"] == "spectrum")]
            error = span(mean_interval(own["error_best"].to_numpy()), ".3f")
            ratio = number(spectrum["participation"].mean(), ".1f")
            rows.append((str(host), error, ratio, f"{spectrum['dimension'].iloc[0]:.0f}"))
        yield (
            f"‖cXᵀX − I‖_F/‖I‖_F with the best c, of {size:.0f} preserved keys (0: orthonormal), and the "
            "participation ratio of C0 (intervals over sets of keys; orthonormal keys are of several bases):"
        )
        yield table(("keys", "off by", "(Σλ)²/Σλ²", "of d"), rows)
    for host, points in material.of_hosts(selection.courses):
        found = courses(points, ("edit_norm",))
        last = found[found["edits"] == found.groupby("editor")["edits"].transform("max")]
        cells = [f"{row['editor']} {_spanned(row, 'mean')}" for row in last.to_dict("records")]
        yield f"{_about(host, points)}, ‖ΔW‖/‖W‖ at the end: {'; '.join(cells)}."


def projection_time(material: Material) -> Lines:
    """The cost of the projection against that of the edit."""
    for host, points in material.of_hosts(selection.paired):
        found = projection_costs(timings(material.store, set(points["run"])))
        found = found[found["ratio"] == "projection"]
        cells = [f"{row['base']} {_spanned(row, 'mean', '.1%')}" for row in found.to_dict("records")]
        yield f"{_about(host, points)}, ΔW ↦ ΔW·P over the solve of the same batch: {'; '.join(cells)}."


def turning(material: Material) -> Lines:
    """Whether the pretrained principal space stays the right one."""
    for host, points in material.of_hosts(selection.refreshing):
        found = courses(points[points["variant"] == ""], TURNING)
        last = found[found["edits"] == found["edits"].max()]
        yield f"{_about(host, points)}; at the end, of the pretrained space:"
        yield table(
            ("editor", "‖U_tᵀU‖²/r", "largest angle (degrees)", "share of ‖ΔW‖² inside"),
            [
                (str(editor), *_turned(own.set_index("column")))
                for (editor, _), own in last.groupby(["editor", "settings"], sort=False)
            ],
        )
        compared = refreshed(points)
        compared = compared[compared["edits"] == compared["edits"].max()]
        yield "U of the current weights less U of the pretrained ones, at the end:"
        yield _gained(compared)


def _turned(by: pd.DataFrame) -> Iterator[str]:
    yield _spanned(by.loc["principal_overlap"], "mean", ".3f")
    degrees = np.degrees(by.loc["principal_angle", ["mean", "low", "high"]].to_numpy(float))
    yield span(degrees, ".1f")
    yield _spanned(by.loc["principal_share"], "mean", ".3f")


def variance(material: Material) -> Lines:
    """Why directions of variance should matter to an energy of angles."""
    frame = material.rows("energy-directions")
    if not len(frame):
        return
    gradient = frame[frame["kind"] == "gradient"]
    edits = frame[frame["kind"] == "edit"]
    for real, words in ((True, "MiniLM layers"), (False, "synthetic layers")):
        own = gradient[gradient["real"] == real]
        if not len(own):
            continue
        yield f"Share of ‖∇HE‖² in each space, {words} (intervals over layers and seeds):"
        yield table(("space", "share", "by chance"), _shares(own))
        yield "Share of an edit's |ΔHE| that is left after P, and after shrinking it to the same norm:"
        left = edits[(edits["real"] == real) & (edits["space"] == "principal")]
        yield table(("edit", "SPHERE", "same norm"), _left(left))


def _shares(gradient: pd.DataFrame) -> Cells:
    each = gradient.groupby(["space", "layer", "seed"], sort=False)[["share", "rank", "directions"]].mean()
    for space, rows in each.groupby(level="space", sort=False):
        chance = number((rows["rank"] / rows["directions"]).mean())
        yield SPACES[str(space)], span(mean_interval(rows["share"].to_numpy())), chance


def _left(edits: pd.DataFrame) -> Cells:
    for edit, rows in edits.groupby("edit", sort=False):
        logs = np.log(rows.groupby(["layer", "seed"])[["change_left", "change_shrunk"]].mean())
        yield str(edit), *(span(np.exp(mean_interval(each.to_numpy()))) for _, each in logs.items())


def overlapping(material: Material) -> Lines:
    """SPHERE's space and AlphaEdit's null space."""
    frame = material.rows("space-overlap")
    if not len(frame):
        return
    at = frame[(frame["kind"] == "threshold") & (frame["kept"] > 0)]
    rows = []
    for (real, threshold), own in at.groupby(["real", "threshold"], sort=False):
        beyond = mean_interval((own["inside"] - own["chance"]).to_numpy())
        words = judged(beyond[1], beyond[2], "more than chance", "less than chance", "not told from chance")
        inside = span(mean_interval(own["inside"].to_numpy()))
        rows.append((
            "MiniLM" if real else "synthetic",
            f"{threshold:g}",
            str(len(own)),
            inside,
            span(beyond, "+.3f"),
            words,
        ))
    yield "Of n layers, synthetic ones each with its own seed (intervals over layers):"
    yield table(("layers", "threshold", "n", "‖QᵀU‖²/r", "less chance", ""), rows)


def costs(material: Material) -> Lines:
    """Time and memory, measured and extrapolated."""
    frame = material.rows("cost")
    if not len(frame):
        return
    found = predictions(frame, samples=material.samples)
    yield (
        "Extrapolated from sizes measured on the machine that filled the store (intervals: of the fit alone; "
        "held out: what a model without the largest size predicts for it, over what was measured there; a "
        "decay is that of a spectrum 1/k^decay):"
    )
    yield table(
        ("operation", "shape", "time", "extra memory", "× the largest measured", "held out"),
        [_extrapolated(row) for row in _by_operation(found)],
    )
    powers = exponents(frame, samples=material.samples)
    powers = powers[powers["axis"] == "shape"]
    yield (
        "Exponents of time as n and d grow together (intervals: of the timings alone), and of the operations "
        "counted:"
    )
    yield table(
        ("operation", "measured", "counted"),
        [
            (
                operation_words(row["operation"], row["decay"]),
                _spanned(row, "exponent"),
                number(row["counted"]),
            )
            for row in _by_operation(powers)
        ],
    )
    along = material.rows("cost-stream")
    if len(along):
        cells = [
            f"{operation_words(row['operation'], row['decay'])} {_spanned(row, 'ratio')}"
            for row in _by_operation(constancy(along).assign(decay=0.0))
        ]
        yield f"Time of a step in the last third of a stream over the middle third: {'; '.join(cells)}."


def _by_operation(rows: pd.DataFrame) -> list[Row]:
    order = operations_of(rows)
    return sorted(rows.to_dict("records"), key=lambda row: order.index((row["operation"], row["decay"])))


def _extrapolated(row: Row) -> tuple[str, ...]:
    seconds, low, high = (in_units(row[f"seconds{end}"], "seconds") for end in ("", "_low", "_high"))
    return (
        operation_words(row["operation"], row["decay"]),
        f"{row['shape']} ({row['n']}×{row['d']})",
        f"{seconds} [{low}, {high}]",
        in_units(row["peak_bytes"], "peak_bytes"),
        number(row["times_larger"], ".0f"),
        number(row["held_out"]),
    )
