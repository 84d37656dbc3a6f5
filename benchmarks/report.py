"""The tables that a run prints and the file that it leaves."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.measure import Timing
from benchmarks.rows import Row
from benchmarks.scaling import Series


def seconds(value: float) -> str:
    """A time in a unit that fits.

    Parameters
    ----------
    value
        Seconds.

    Returns
    -------
    str
        Three digits and the unit.
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-6:.3g} µs"


def _timing(timing: Timing | None) -> str:
    if timing is None:
        return "–"
    runs = "" if len(timing.seconds) == 5 else f", {len(timing.seconds)} run{'s' * (len(timing.seconds) > 1)}"
    return rf"{seconds(timing.median)} \[{seconds(timing.low)} – {seconds(timing.high)}{runs}]"


def rows_table(rows: Sequence[Row], *, quick: bool = False) -> Table:
    """One line a row.

    Parameters
    ----------
    rows
        What was measured.
    quick
        Whether at small shapes, which the targets are not for.

    Returns
    -------
    Table
        For rich.
    """
    title = r"Medians \[min – max] of five after one warm-up, unless runs are named"
    if quick:
        title += "; small shapes on one thread, which no target is for"
    table = Table(title=title, title_justify="left")
    for name in (
        "row",
        "n×d",
        "ours",
        "against",
        "its time",
        "ratio",
        "target",
        "result",
        "of limit",
        "ratio there",
    ):
        table.add_column(name, overflow="fold")
    for row in rows:
        checks = [f"{c.name} {c.value:,.0f} ≤ {c.bound:,.0f} {c.unit}" for c in row.checks if c.met]
        table.add_row(
            row.work,
            f"{row.shape[0]}×{row.shape[1]}",
            _timing(row.ours),
            row.against,
            _timing(row.alternative),
            row.target.show(row.ratio),
            str(row.target),
            "; ".join([row.verdict, *checks]),
            f"{row.share_of_limit:.0%} of {seconds(row.limit.seconds)}",
            row.target.show(row.ratio_at_limit),
        )
    return table


def facts_table(rows: Sequence[Row]) -> Table:
    """What was measured beside times: differences, memory, rates.

    Parameters
    ----------
    rows
        What was measured.

    Returns
    -------
    Table
        For rich.
    """
    table = Table("row", "measured", "limit = sum of", title="Beside the times", title_justify="left")
    for row in rows:
        facts = [f"{name} {value:.3g}" for name, value in row.facts.items() if isinstance(value, int | float)]
        facts.append(f"share of a float32 product's rate {row.share_of_float32_product:.0%}")
        rates = [
            f"{k} {v / 1e9:.3g} {'GB/s' if k == 'copy' else 'Gflop/s'}" for k, v in row.limit.rates.items()
        ]
        phases = [f"{name}: {seconds(value)}" for name, value in row.limit.phases.items()]
        table.add_row(row.key, "\n".join(facts), "\n".join([*phases, *rates]))
    return table


def scaling_table(series: Sequence[Series]) -> Table:
    """One line a series.

    Parameters
    ----------
    series
        What was measured.

    Returns
    -------
    Table
        For rich.
    """
    table = Table("work", "along", "fixed", "medians", "time ∝", title="Growth of cost", title_justify="left")
    for one in series:
        points = [f"{v}: {seconds(t.median)}" for v, t in zip(one.values, one.timings, strict=True)]
        table.add_row(one.work, one.variable, one.fixed, ", ".join(points), f"{one.variable}^{one.slope:.2f}")
    return table


def write(path: Path, machine: dict[str, Any], rows: Sequence[Row], series: Sequence[Series]) -> None:
    """Store a run.

    Parameters
    ----------
    path
        Where; its folder is made.
    machine
        From `machine_facts`.
    rows, series
        What was measured.
    """
    document = {
        "schema": 1,
        "machine": machine,
        "rows": [row.as_json() for row in rows],
        "scaling": [one.as_json() for one in series],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_finite(document), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    """The same document with infinities and NaN as words, which JSON has no numbers for."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
