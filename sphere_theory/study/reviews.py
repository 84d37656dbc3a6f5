"""What a store says to the questions of reviewers: keys, cost, spaces; words are chosen by the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from sphere_theory.analysis import selection
from sphere_theory.analysis.cost_growth import constancy, exponents, predictions
from sphere_theory.analysis.resampling import mean_interval
from sphere_theory.analysis.review import TURNING, courses, projection_costs, refreshed, timings
from sphere_theory.analysis.spaces import SPACES
from sphere_theory.figures.cost import in_units, operation_words, operations_of
from sphere_theory.study.answers import Material, Row, gained, headed, spanned
from sphere_theory.study.estimates import Lines
from sphere_theory.study.page import judged, number, span, table

if TYPE_CHECKING:
    import pandas as pd

Cells = Iterator[tuple[str, ...]]

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
        cells = [f"{row['editor']} {spanned(row, 'mean')}" for row in last.to_dict("records")]
        yield f"{headed(host, points)}, ‖ΔW‖/‖W‖ at the end: {'; '.join(cells)}."


def projection_time(material: Material) -> Lines:
    """The cost of the projection against that of the edit."""
    for host, points in material.of_hosts(selection.paired):
        found = projection_costs(timings(material.store, set(points["run"])))
        found = found[found["ratio"] == "projection"]
        cells = [f"{row['base']} {spanned(row, 'mean', '.1%')}" for row in found.to_dict("records")]
        yield f"{headed(host, points)}, ΔW ↦ ΔW·P over the solve of the same batch: {'; '.join(cells)}."


def turning(material: Material) -> Lines:
    """Whether the pretrained principal space stays the right one."""
    for host, points in material.of_hosts(selection.refreshing):
        found = courses(points[points["variant"] == ""], TURNING)
        last = found[found["edits"] == found["edits"].max()]
        yield f"{headed(host, points)}; at the end, of the pretrained space:"
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
        yield gained(compared)


def _turned(by: pd.DataFrame) -> Iterator[str]:
    yield spanned(by.loc["principal_overlap"], "mean", ".3f")
    degrees = np.degrees(by.loc["principal_angle", ["mean", "low", "high"]].to_numpy(float))
    yield span(degrees, ".1f")
    yield spanned(by.loc["principal_share"], "mean", ".3f")


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
                spanned(row, "exponent"),
                number(row["counted"]),
            )
            for row in _by_operation(powers)
        ],
    )
    along = material.rows("cost-stream")
    if len(along):
        cells = [
            f"{operation_words(row['operation'], row['decay'])} {spanned(row, 'ratio')}"
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
