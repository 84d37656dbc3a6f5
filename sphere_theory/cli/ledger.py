"""Commands of the ledger: verify, claims."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sphere_theory.cli.common import AsJson, Device, Seed, progress, result_page
from sphere_theory.errors import ModelError

if TYPE_CHECKING:
    from proofs.proof import Counterexample
    from sphere_theory.claims import Claim


def verify(
    quick: Annotated[bool, typer.Option("--quick", help="A quarter of the budget, layer 3 alone.")] = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Folder for verify.json and the figures.")] = Path("out"),
) -> None:
    """Run the whole ledger: proofs, properties with mutants, measurements on real layers.

    Example: sphere-theory verify --quick --seed 1
    """
    from sphere_theory import verify as job
    from sphere_theory.arrays import as_device
    from sphere_theory.claims import Context, ledger

    claims = ledger()
    context = Context(seed=seed, quick=quick, device=str(as_device(device)))
    start, records = perf_counter(), []
    total = sum(len(claim.evidence) for claim in claims)
    try:
        with progress(total) as (bar, task):
            context.report = lambda message: bar.update(task, description=message)
            for record in job.run_ledger(claims, context, out):
                records.append(record)
                bar.update(task, completed=len(records))
    except KeyboardInterrupt:
        note = f"interrupted after {len(records)} of {total}; the same command goes on from there"
        Console(stderr=True).print(note)
        raise typer.Exit(130) from None
    found = job.report(records, context, perf_counter() - start)
    written = [job.write_report(found, out), *job.draw_figures(found, out)]
    if as_json:
        sys.stdout.write(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        _print_ledger(found, written)
    if found["surprises"]:
        raise typer.Exit(1)


def _print_ledger(found: dict[str, Any], written: list[Path]) -> None:
    table = Table("claim", "verdict", "evidence", "margin", title="The ledger", show_lines=False)
    last = ""
    for record in found["results"]:
        fresh = record["claim"] != last
        if fresh and last:
            table.add_section()
        last = record["claim"]
        verdict = (
            record["verdict"]
            if record["as_recorded"]
            else f"[bold red]SURPRISE[/] (recorded: {record['verdict']})"
        )
        table.add_row(
            f"{last}  {escape(record['statement'])}" if fresh else "",
            verdict if fresh or not record["as_recorded"] else "",
            escape(f"{record['kind']}: {record['summary']}"),
            escape(record["margin"]),
        )
    page = result_page()
    page.print(table)
    count, surprises = len(found["results"]), found["surprises"]
    outcome = (
        f"{len(surprises)} surprises: {', '.join(surprises)}"
        if surprises
        else "every verdict is the recorded one"
    )
    page.print(f"{count} pieces of evidence in {found['seconds']:.0f} s, seed {found['seed']}: {outcome}.")
    for path in written:
        page.print(f"wrote {path}", soft_wrap=True)


def claims(
    id: Annotated[str | None, typer.Argument(help="Show one claim whole, such as B5.")] = None,
    as_json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Folder whose verify.json may hold its numbers.")] = Path("out"),
) -> None:
    """List the ledger, or show one claim with its hypotheses, proof steps, counterexamples and numbers.

    Numbers are those of the last `verify`, if it ran this very source; otherwise they are measured on the
    spot, with the quick budget.

    Example: sphere-theory claims B5
    """
    from sphere_theory.claims import find_claim, ledger

    chosen = ledger() if id is None else (find_claim(id),)
    if as_json:
        sys.stdout.write(
            json.dumps([_claim_record(claim) for claim in chosen], indent=1, ensure_ascii=False) + "\n"
        )
    elif id is None:
        table = Table("id", "statement", "verdict", "evidence")
        for claim in chosen:
            kinds = ", ".join(dict.fromkeys(piece.kind for piece in claim.evidence))
            table.add_row(claim.id, escape(claim.statement), str(claim.verdict), kinds)
        result_page().print(table)
    else:
        _print_claim(chosen[0], out)


def _claim_record(claim: Claim) -> dict[str, Any]:
    fields = ("id", "statement", "latex", "source", "hypotheses", "verdict", "corrected")
    evidence = [{"kind": piece.kind, "name": piece.name} for piece in claim.evidence]
    facts = {name: str(getattr(claim, name)) for name in fields}
    return facts | {"evidence": evidence, "see": list(claim.see)}


def _print_claim(claim: Claim, out: Path) -> None:
    from proofs import PROOFS, prove
    from proofs.__main__ import main as print_proofs

    page = result_page()
    page.print(f"[bold]{claim.id}[/]  {escape(claim.statement)}\n", soft_wrap=True)
    facts = Table(show_header=False, box=None)
    for name in ("verdict", "latex", "source", "hypotheses", "corrected"):
        if value := str(getattr(claim, name)):
            facts.add_row(f"[dim]{name}[/]", escape(value))
    if claim.see:
        facts.add_row("[dim]see also[/]", ", ".join(claim.see))
    page.print(facts)
    page.print()
    for name in (claim.id, *claim.see):
        for example in prove(name).counterexamples if name in PROOFS else ():
            page.print(escape(_counterexample_text(name, example)), soft_wrap=True)
    unproved = print_proofs([claim.id], write=sys.stdout.write) if claim.id in PROOFS else 0
    if unproved or not _print_numbers(claim, out):
        raise typer.Exit(1)


def _print_numbers(claim: Claim, out: Path) -> bool:
    """What the claim's evidence came to; whether all of it is as recorded."""
    from sphere_theory import verify as job

    stored = job.stored_report(out)
    records = [r for r in stored["results"] if r["claim"] == claim.id] if stored else []
    if stored and records:
        budget = "quick" if stored["quick"] else "full"
        source = f"{out / 'verify.json'}: {stored['date']}, seed {stored['seed']}, {budget} budget"
    else:
        records = _measure_now(claim)
        source = "measured now, seed 0, quick budget; `sphere-theory verify` has the full one"
    table = Table("evidence", "found", "margin", title="Numbers", title_justify="left", show_lines=True)
    for record in records:
        mark = "" if record["as_recorded"] else "[bold red]SURPRISE[/] "
        name = f"{record['kind']}: {record['evidence']}"
        table.add_row(escape(name), mark + escape(record["summary"]), escape(record["margin"]))
    page = result_page()
    page.print(table)
    page.print(source, soft_wrap=True, markup=False)
    return all(record["as_recorded"] for record in records)


def _measure_now(claim: Claim) -> list[dict[str, Any]]:
    from sphere_theory.claims import Context, run_evidence

    context, records = Context(quick=True), []
    pieces = [piece for piece in claim.evidence if piece.kind != "symbolic"]  # proofs have just been shown
    try:
        with progress(len(pieces)) as (bar, task):
            context.report = lambda message: bar.update(task, description=message)
            for result in run_evidence(claim, pieces, context):
                records.append(result.record())
                bar.update(task, completed=len(records))
    except ModelError as error:  # what needs no model has been shown
        Console(stderr=True, soft_wrap=True).print(f"not measured: {error}", markup=False, highlight=False)
    return records


def _counterexample_text(claim: str, example: Counterexample) -> str:
    parts = {"W": example.W, "ΔW": example.delta, "X": example.X, "ΔW P": example.projected}
    matrices = ", ".join(
        f"{name} = {matrix.tolist()}" for name, matrix in parts.items() if matrix is not None
    )
    values = ", ".join(
        f"{name} = {value}" if value.is_Rational else f"{name} = {value} ≈ {value.evalf(6)}"
        for name, value in example.values
    )
    return f"Counterexample ({claim}) to {example.refutes}:\n  {matrices}, s = {example.s}\n  {values}\n"
