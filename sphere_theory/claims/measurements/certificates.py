"""B7, B9 and B10: how much of each bound real and made edits use, and what an enclosure of ΔHE certifies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sphere_theory.bound import audit_bound, bound_constant
from sphere_theory.claims.context import Context
from sphere_theory.claims.ledger import Finding
from sphere_theory.claims.measurements.base import Row, against, brief, largest
from sphere_theory.claims.measurements.bound import audit_record
from sphere_theory.enclosure import enclose_change, largest_change
from sphere_theory.energy import energy_gradient
from sphere_theory.errors import CertificateError
from sphere_theory.experiments.edits import memit_update, of_size
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.motion import energy_change

EXPONENTS = (0.0, 1.0, 2.0, 3.5)
_QUICK_EXPONENTS = (0.0, 1.0, 3.5)  # of real layers

# The synthetic layer of the table.
GAUSSIAN = (64, 32)

# Of the table that is shown; and how far from sharp a bound of the form K‖ΔW‖ has to be on random edits.
SHOWN = 1e-2
_BOUNDS = {
    "triangle": "K_tri",
    "unconditional": "K*",
    "angles": "B8, angles",
    "enclosure": "B9, one piece",
    "edit-free": "B10",
}


@dataclass(frozen=True, eq=False)
class _Host:
    """Weights and keys that edits are drawn from."""

    name: str
    layer: int | None
    W: Tensor
    keys: Tensor

    def directions(self, seed: int) -> dict[str, Tensor]:
        """Edits up to their size that are not built against any bound: random, and MEMIT-like."""
        n, d = self.W.shape
        generator = torch.Generator().manual_seed(seed + 1)  # the weights may be drawn with the seed itself
        gauss = torch.randn((n, d), generator=generator, dtype=torch.float64)
        batch = min(100, d // 4)
        memit = memit_update(self.W, self.keys, batch=batch, ridge=15.0, seed=seed).dense()
        return {"random": gauss.to(self.W.device), "MEMIT-like": memit}

    def along_gradient(self) -> dict[str, Tensor]:
        """Edits up to their size along ±∇HE."""
        slope = energy_gradient(self.W)
        return {"ascent": slope, "descent": -slope}


def _real(context: Context, layer: int) -> _Host:
    return _Host(MiniLM.title or "", layer, context.weight(layer).double(), context.keys(layer).double())


def _gaussian(context: Context) -> _Host:
    generator = torch.Generator().manual_seed(context.seed)
    n, d = GAUSSIAN
    W, keys = (
        torch.randn(shape, generator=generator, dtype=torch.float64).to(context.device)
        for shape in ((n, d), (d, 8 * d))
    )
    return _Host("Gaussian", None, W, keys)


def _free(W: Tensor, size: float, s: float) -> float:
    """B10's bound, NaN beyond its reach."""
    try:
        return largest_change(W, size, s=s)
    except CertificateError:
        return math.nan


def _tightness_rows(context: Context) -> Iterator[Row]:
    """Audits of every host, exponent, size and direction, with what share of each bound is used."""
    usual = (1e-6, SHOWN, 1.0) if context.quick else [10.0 ** (k / 2) for k in range(-16, 1, 2)]
    others = (SHOWN,) if context.quick else (1e-4, SHOWN)
    for host in [_gaussian(context), *(_real(context, layer) for layer in context.layers)]:
        n, d = host.W.shape
        directions = host.directions(context.seed)
        for s in EXPONENTS if host.layer is None or not context.quick else _QUICK_EXPONENTS:
            directions["ascent"] = energy_gradient(host.W, s=s)
            for size in usual if s == 1 else others:
                free = _free(host.W, size * float(torch.linalg.vector_norm(host.W)), s)
                for name, direction in directions.items():
                    context.report(f"B7: {host.name}, s = {s:g}, {name} edit of relative size {size:.1g}")
                    audit = audit_bound(host.W, of_size(direction, host.W, size), s=s)
                    row = audit_record(audit, layer=host.layer, edit=name, inputs="orthonormal")
                    facts = {"weights": host.name, "s": s, "size": size, "limit": 1 / (n * d)}
                    yield row | facts | {"used": _used(row, free)}


def _used(row: Row, free: float) -> dict[str, float]:
    """(ΔHE/bound)² of each bound; NaN beyond its reach."""
    change, (low, high) = abs(row["energy_change"]), row["enclosure"]
    bounds = {
        "angles": row["angular_bound"],
        "enclosure": max(abs(low), abs(high)),
        "edit-free": free,
    }
    found = {kind: row["checks"][kind]["tightness"] for kind in ("triangle", "unconditional")}
    return found | {name: (change / bound) ** 2 for name, bound in bounds.items()}


def _plain(row: Row) -> bool:
    """An edit that is not built against the bound, and not larger than usual."""
    return row["edit"] != "ascent" and row["size"] < 0.011


@against(
    "table",
    {
        "K* is within a factor 100 of sharp on random edits": lambda row: (
            row["edit"] == "random" and row["size"] < 0.011 and row["used"]["unconditional"] < 1e-2
        ),
        "no bound comes near any edit": lambda row: row["used"]["enclosure"] > 0.25,
        "a bound by ‖ΔW‖ alone beats 1/(nd) a hundredfold on random edits": lambda row: (
            row["edit"] == "random" and row["used"]["edit-free"] < 100 * row["limit"]
        ),
        "B9 is no tighter than B8 on small edits": lambda row: (
            row["size"] < 0.011 and row["used"]["enclosure"] > 10 * row["used"]["angles"]
        ),
    },
)
def tightness(context: Context) -> Finding:
    """(ΔHE/bound)² of every bound, on random, MEMIT-like and ascent edits, by size and s, beside 1/(nd).

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if edits that are not built against it, of relative size 1e-2 and less, use less than
        1e-2 of the unconditional bound, and no bound is violated.
    """
    rows = list(_tightness_rows(context))
    plain = largest(row["used"]["unconditional"] for row in rows if _plain(row))
    proved = ("unconditional", "angles", "enclosure", "edit-free")
    worst = largest(row["used"][name] for row in rows for name in proved)
    real = [row for row in rows if row["weights"] == MiniLM.title]
    table = [
        {key: row[key] for key in ("weights", "layer", "edit", "s", "size", "limit", "used")} for row in rows
    ]
    on_real = largest(row["used"]["unconditional"] for row in real if _plain(row))
    return Finding(
        expected=plain < 1e-2 and worst <= 1 + 1e-9,
        summary=f"random and MEMIT-like edits to 1e-2 use ≤ {plain:.1g} of K*'s bound, "
        f"of {MiniLM.title}'s layers ≤ {on_real:.1g} "
        f"(1/(nd) = {real[0]['limit']:.1g}); ascent up to {worst:.4f} of a proved one",
        margin=f"holds by a factor {1 / plain:.0e} there",
        data={
            "audits": [row for row in real if row["s"] == 1],
            "table": table,
            "shown": _shown(rows),
        },
    )


def _shown(rows: list[Row]) -> Row:
    """The table in text, at one size: the largest over layers."""
    cells: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if math.isclose(row["size"], SHOWN):
            cells.setdefault((row["weights"], row["edit"], f"{row['s']:g}"), []).append(row)
    lines = []
    for names, own in cells.items():
        values = [largest(row["used"][name] for row in own) for name in _BOUNDS]
        shown = ["–" if math.isnan(value) else f"{value:.1e}" for value in values]
        lines.append([*names, *shown, f"{own[0]['limit']:.1e}"])
    head = ["weights", "edit", "s", *_BOUNDS.values(), "1/(nd)"]
    return {"title": f"(ΔHE/bound)², edits of relative size {SHOWN:g}", "columns": head, "rows": lines}


# Relative sizes and pieces of what is enclosed. A remainder falls with the square of a piece.
_PIECES = ((1e-6, 1), (1e-3, 1), (SHOWN, 2), (1e-1, 8), (1.0, 32))


def _enclosed(context: Context) -> Iterator[Row]:
    """ΔHE of real layers between two certified numbers; the largest edits along +∇HE alone."""
    cases = _PIECES[::2][:2] if context.quick else _PIECES
    for layer in context.audited:
        host = _real(context, layer)
        directions = host.directions(context.seed) | host.along_gradient()
        for (size, pieces), (name, direction) in itertools.product(cases, directions.items()):
            if size == 1 and name != "ascent":
                continue
            context.report(f"B9: layer {layer}, {name} edit of relative size {size:g}, {pieces} pieces")
            delta = of_size(direction, host.W, size)
            change, found = energy_change(host.W, delta), enclose_change(host.W, delta, pieces=pieces)
            yield {
                "layer": layer,
                "edit": name,
                "size": size,
                "pieces": found.pieces,
                "seconds": found.seconds,
                "energy_change": change.change,
                "low": found.low,
                "high": found.high,
                "inside": found.low - change.rounding <= change.change <= found.high + change.rounding,
                "sign": found.sign,
                "reached": min(abs(found.low), abs(found.high)) / abs(change.change) if found.sign else 0.0,
                "width": found.width / abs(change.change),
            }


def _off_middle(row: Row) -> float:
    """How far ΔHE is from the middle of its enclosure, in half widths."""
    half = (row["high"] - row["low"]) / 2
    return abs(row["energy_change"] - (row["high"] + row["low"]) / 2) / half


@against(
    "rows",
    {
        "the first order alone is ΔHE": lambda row: (
            abs(row["energy_change"] - (row["high"] + row["low"]) / 2) > 1e-6 * abs(row["energy_change"])
        ),
        "it certifies no sign": lambda row: row["sign"] != 0,
        "it certifies the sign of every edit": lambda row: row["sign"] == 0,
        "a remainder a thousandth as large would do": lambda row: _off_middle(row) > 1e-3,
    },
)
def enclosure(context: Context) -> Finding:
    """ΔHE of edits of real layers, enclosed: is it inside, is its sign certified, how wide, at what cost.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if every ΔHE lies inside, and its sign is certified along +∇HE at every size and
        along −∇HE where small.
    """
    rows = list(_enclosed(context))
    inside = all(row["inside"] for row in rows)
    told = [row for row in rows if row["size"] < 1e-5 and row["edit"] in {"ascent", "descent"}]
    told += [row for row in rows if row["edit"] == "ascent"]
    signed = [row for row in rows if row["sign"]]
    small = [row for row in rows if row["pieces"] == 1]
    seconds = sum(row["seconds"] for row in rows) / sum(row["pieces"] for row in rows)
    return Finding(
        expected=inside and all(row["sign"] == _risen(row) for row in told),
        summary=f"{len(rows)} edits of real layers, 1 to {max(r['pieces'] for r in rows)} pieces: ΔHE inside "
        f"{'every' if inside else 'NOT every'} enclosure, its sign certified in {len(signed)}; width over "
        f"|ΔHE| {brief(row['width'] for row in small)} with one piece",
        margin=f"{seconds:.2g} s a piece; where the sign is certified at least "
        f"{min(row['reached'] for row in signed):.2g} of |ΔHE| is",
        data={"rows": rows},
    )


def _risen(row: Row) -> int:
    return 1 if row["energy_change"] > 0 else -1


def _free_rows(context: Context) -> Iterator[Row]:
    """The edit-free bound of layer 3, and what edits of that size do."""
    host = _real(context, 3)
    steepest = bound_constant(host.W, kind="gradient")
    directions = host.directions(context.seed) | host.along_gradient()
    for relative in (1e-4, 1e-2, 1e-1) if context.quick else (1e-6, 1e-4, 1e-3, 1e-2, 1e-1):
        size = relative * float(torch.linalg.vector_norm(host.W))
        bound = _free(host.W, size, 1.0)
        for name, direction in directions.items():
            context.report(f"B10: {name} edit of relative size {relative:g}")
            change = energy_change(host.W, of_size(direction, host.W, relative)).change
            yield {
                "edit": name,
                "size": relative,
                "bound": bound,
                "energy_change": change,
                "first_order": steepest * size,
                "used": abs(change) / bound,
            }


@against(
    "rows",
    {
        "K_grad‖ΔW‖ bounds every edit of that size": lambda row: (
            abs(row["energy_change"]) > row["first_order"] * (1 + 1e-7)
        ),
        "half of it would do": lambda row: row["used"] > 0.5,
        "it covers every size": lambda row: math.isnan(row["bound"]),
        "an edit that is not built against it comes near": lambda row: (
            row["edit"] == "random" and row["used"] < 0.1
        ),
    },
)
def edit_free_bound(context: Context) -> Finding:
    """The bound that knows the size of an edit alone, on layer 3, beside what edits of that size do.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if no edit goes beyond it, and one along ∇HE reaches nine tenths of it where it is small.
    """
    rows = list(_free_rows(context))
    covered = [row for row in rows if math.isfinite(row["bound"])]
    worst = max(covered, key=lambda row: row["used"])
    reach = max(row["size"] for row in covered)
    random = [row["used"] for row in covered if row["edit"] == "random"]
    return Finding(
        expected=worst["used"] <= 1 + 1e-9 and worst["used"] > 0.9,
        summary=f"layer 3, {len(covered)} edits to relative size {reach:g}: none beyond the bound; random "
        f"ones use {brief(random)} of it, {worst['edit']} up to {worst['used']:.4f}",
        margin=f"{1 - worst['used']:.2g} to spare; no bound beyond {reach:g}",
        data={"rows": rows},
    )
