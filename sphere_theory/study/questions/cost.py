"""What editing costs, and what it would cost at 70B and 405B.

Time and memory of the operations of a stream, measured at growing sizes on the machine that filled the store:
exponents along every axis, models that count operations carried on to large shapes (`cost_growth`), and the
time of a step late in a stream over that of an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sphere_theory.experiments.cost import ASPECT, BATCHWISE, OPERATIONS, STREAMED, Cost, StreamCost
from sphere_theory.study.cost_growth import (
    AXES,
    constancy,
    cost_points,
    exponents,
    predictions,
    series,
    tenths,
)
from sphere_theory.study.cost_plots import draw_beyond, draw_growth, draw_stream, in_units, named
from sphere_theory.study.markdown import number, table
from sphere_theory.study.question import ExperimentFigure, Frames, Lines, Material, Question
from sphere_theory.study.wording import Row, spanned

if TYPE_CHECKING:
    import pandas as pd


def _experiments(quick: bool) -> list[Cost | StreamCost]:
    """Each once, though some lie on two axes; smaller sizes and shorter streams for the quick study."""
    costs = [
        Cost(operation, n, d, batch, decay)
        for operation, decay in (*((operation, 0.0) for operation in OPERATIONS), ("randomized", 1.0))
        for n, d, batch in _sizes(operation, quick)
    ]
    n, d, batches = (64, 256, 60) if quick else (256, 1024, 200)
    streams = [
        StreamCost(operation, n, d, batches=batches, seed=seed) for operation in STREAMED for seed in range(3)
    ]
    return list(dict.fromkeys([*costs, *streams]))


def _sizes(operation: str, quick: bool) -> Iterator[tuple[int, int, int]]:
    """Shapes and batches at which an operation is timed."""
    part, batch = (2 if quick else 1), 100
    rows, columns, along = [128, 256, 512, 1024], [512, 1024, 2048, 4096], [128, 256, 512, 1024]
    if operation == "covariance":
        columns, along = [256, 512, 1024, 2048], [128, 256, 384, 512]
    elif operation in ("energy", "energy update"):
        # Below LLaMA3's own shape, 4096 × 14336, products do not run at the rate that larger ones have.
        rows, along = [*rows, 2048], [*along, 2048, 4096]
    yield from ((n // part, 1024 // part, batch) for n in rows)
    yield from ((512 // part, d // part, batch) for d in columns)
    yield from ((n // part, int(ASPECT * n) // part, batch) for n in along)
    if operation in BATCHWISE and operation != "energy":
        yield from ((512 // part, 2048 // part, b) for b in (25, 50, 100, 200, 400))


def _conditions(rows: pd.DataFrame) -> pd.DataFrame:
    """Machines, and repetitions of the points that have fewest."""
    repeats = int(cost_points(rows)["repeats"].min())
    return rows[["threads", "processor"]].drop_duplicates().assign(repeats=repeats)


def _growth(rows: pd.DataFrame) -> Frames:
    import pandas as pd

    points = cost_points(rows)
    along = pd.concat([series(points, axis).assign(axis=axis) for axis in AXES], ignore_index=True)
    return {"measured": along, "exponents": exponents(rows), "conditions": _conditions(rows)}


def _beyond(rows: pd.DataFrame) -> Frames:
    along = series(cost_points(rows), "shape")
    return {"measured": along, "extrapolated": predictions(rows), "conditions": _conditions(rows)}


def _stream(rows: pd.DataFrame) -> Frames:
    return {
        "steps": rows[["operation", "seed", "step", "edits", "seconds"]],
        "tenths": tenths(rows),
        "ratios": constancy(rows),
        "carried": rows.groupby(["operation", "edits"], as_index=False, sort=False)["state_bytes"].mean(),
        "conditions": rows[["threads", "processor"]].drop_duplicates(),
    }


def _answer(material: Material) -> Lines:
    rows = material.rows("cost")
    if not len(rows):
        return
    yield (
        "Extrapolated from sizes measured on the machine that filled the store (intervals: of the fit alone; "
        "held out: what a model without the largest size predicts for it, over what was measured there; a "
        "decay is that of a spectrum 1/k^decay):"
    )
    head = ("operation", "shape", "time", "extra memory", "× the largest measured", "held out")
    found = predictions(rows, samples=material.samples)
    yield table(head, [_extrapolated(name, row) for name, row in named(found)])
    yield (
        "Exponents of time as n and d grow together (intervals: of the timings alone), and of the operations "
        "counted:"
    )
    powers = exponents(rows, samples=material.samples)
    yield table(
        ("operation", "measured", "counted"),
        [
            (name, spanned(row, "exponent"), number(row["counted"]))
            for name, row in named(powers[powers["axis"] == "shape"])
        ],
    )
    along = material.rows("cost-stream")
    if len(along):
        cells = [f"{name} {spanned(row, 'ratio')}" for name, row in named(constancy(along).assign(decay=0.0))]
        yield f"Time of a step in the last third of a stream over the middle third: {'; '.join(cells)}."


def _extrapolated(name: str, row: Row) -> tuple[str, ...]:
    seconds, low, high = (in_units(row[f"seconds{end}"], "seconds") for end in ("", "_low", "_high"))
    return (
        name,
        f"{row['shape']} ({row['n']}×{row['d']})",
        f"{seconds} [{low}, {high}]",
        in_units(row["peak_bytes"], "peak_bytes"),
        number(row["times_larger"], ".0f"),
        number(row["held_out"]),
    )


QUESTION = Question(
    order=14,
    question="What does it cost, and what would it cost at 70B and 405B?",
    asked="the paper's limitations",
    answer=_answer,
    untested="The extrapolated shapes themselves.",
    figures={
        "cost": ExperimentFigure("cost", draw_growth, _growth),
        "cost-extrapolated": ExperimentFigure("cost", draw_beyond, _beyond),
        "cost-stream": ExperimentFigure("cost-stream", draw_stream, _stream),
    },
    experiments=_experiments,
)
