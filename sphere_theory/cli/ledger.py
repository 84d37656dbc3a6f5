"""Commands of the ledger: verify, claims."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sphere_theory.cli.common import AsJson, Device, Seed, progress, result_page
from sphere_theory.errors import ModelError

if TYPE_CHECKING:
    from sphere_theory.claims import Claim
    from sphere_theory.proofs.proof import Counterexample


def verify(
    quick: Annotated[bool, typer.Option("--quick", help="A quarter of the budget, layer 3 alone.")] = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Folder for verify.json and the figures.")] = Path("out"),
) -> None:
    """Run the whole ledger: proofs, properties and measurements on real layers, each with what it rules out.

    Example: sphere-theory verify --quick --seed 1
    """
    from sphere_theory import verify as job
    from sphere_theory.arrays import as_device
    from sphere_theory.claims import Context, ledger

    claims = ledger()
    context = Context(seed=seed, quick=quick, device=str(as_device(device)))
    start, records = perf_counter(), []
    total = sum(len(claim.evidence) for claim in claims)
    with job.a_core_for_the_helper() as helped:
        try:
            with progress(total) as (bar, task):
                context.report = lambda message: bar.update(task, description=message)
                for record in job.run_ledger(claims, context, out, helped=helped):
                    records.append(record)
                    bar.update(task, completed=len(records))
        except KeyboardInterrupt:
            note = f"interrupted after {len(records)} of {total}; the same command goes on from there"
            Console(stderr=True).print(note)
            raise typer.Exit(130) from None
        found = job.report(job.in_order(records, claims), context, perf_counter() - start)
    written = [job.write_report(found, out), *job.draw_figures(found, out)]
    if as_json:
        sys.stdout.write(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        _print_ledger(found, written)
    if found["surprises"]:
        raise typer.Exit(1)


def _print_ledger(found: dict[str, Any], written: list[Path]) -> None:
    from sphere_theory.claims import Verdict
    from sphere_theory.verify import verdict_line

    table = Table(title="The ledger", expand=True)
    for name, share in (("claim", 3), ("verdict", None), ("evidence", 6), ("margin", 3)):
        table.add_column(name, ratio=share)
    last = ""
    for record in found["results"]:
        fresh = record["claim"] != last
        if fresh and last:
            table.add_section()
        last = record["claim"]
        mark = _mark(record)
        table.add_row(
            f"{last}  {escape(record['statement'])}" if fresh else "",
            mark or (Verdict(record["verdict"]).word if fresh else ""),
            escape(f"{record['kind']}: {record['summary']}"),
            escape(record["margin"]),
        )
    page = result_page()
    page.print(table)
    for path in written:
        page.print(f"wrote {path}", soft_wrap=True)
    page.print(verdict_line(found), soft_wrap=True, markup=False)


def _mark(record: dict[str, Any]) -> str:
    """What has to be said of evidence that does not support its verdict; nothing if it does."""
    marks = {"surprise": "[bold red]SURPRISE[/]", "not checked here": "[yellow]not checked here[/]"}
    return marks.get(record["outcome"], "")


def claims(
    id: Annotated[str | None, typer.Argument(help="Show one claim whole, such as B8.")] = None,
    as_json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Folder whose verify.json may hold its numbers.")] = Path("out"),
) -> None:
    """Say each claim's verdict in one sentence, or show one claim with its hypotheses, proofs and numbers.

    Numbers are those of the last `verify`, if it ran this very source; otherwise they are measured on the
    spot, with the quick budget.

    Example: sphere-theory claims B8
    """
    from sphere_theory.claims import find_claim, ledger

    chosen = ledger() if id is None else (find_claim(id),)
    if as_json:
        sys.stdout.write(
            json.dumps([_claim_record(claim) for claim in chosen], indent=1, ensure_ascii=False) + "\n"
        )
    elif id is None:
        _print_verdicts(chosen)
    else:
        _print_claim(chosen[0], out)


def _print_verdicts(chosen: Sequence[Claim]) -> None:
    table = Table("", "verdict", "in one sentence", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for claim in chosen:
        table.add_row(claim.id, claim.verdict.word, escape(claim.plain))
    page = result_page()
    page.print(table)
    page.print(
        "`sphere-theory claims B8` shows one of them whole; `sphere-theory verify` runs what is behind them.",
        markup=False,
    )


def _claim_record(claim: Claim) -> dict[str, Any]:
    fields = ("id", "plain", "statement", "latex", "source", "hypotheses", "verdict", "corrected")
    evidence = [
        {"kind": piece.kind, "name": piece.name, "mutants": list(piece.mutants)} for piece in claim.evidence
    ]
    facts = {name: str(getattr(claim, name)) for name in fields}
    return facts | {"evidence": evidence, "see": list(claim.see)}


def _print_claim(claim: Claim, out: Path) -> None:
    from sphere_theory.proofs import PROOFS, prove
    from sphere_theory.proofs.__main__ import main as print_proofs

    page = result_page()
    page.print(f"[bold]{claim.id}[/]  {escape(claim.statement)}\n")
    facts = Table(show_header=False, box=None)
    for label, value in _facts(claim):
        facts.add_row(f"[dim]{label}[/]", escape(value))
    page.print(facts)
    page.print()
    for name in (claim.id, *claim.see):
        for example in prove(name).counterexamples if name in PROOFS else ():
            page.print(escape(_counterexample_text(name, example)))
    unproved = print_proofs([claim.id], write=sys.stdout.write) if claim.id in PROOFS else 0
    unproved += _print_kernel(claim)
    if not _print_numbers(claim, out) or unproved:
        raise typer.Exit(1)


def _facts(claim: Claim) -> Iterator[tuple[str, str]]:
    yield "verdict", f"{claim.verdict}. {claim.plain}"
    for label in ("latex", "source", "hypotheses", "corrected"):
        if value := str(getattr(claim, label)):
            yield label, value
    if claim.see:
        yield "see also", ", ".join(claim.see)


def _print_kernel(claim: Claim) -> int:
    """The proof in Coq beside the ledger's words, and what its kernel says; 1 if it fails."""
    if all(piece.kind != "kernel" for piece in claim.evidence):
        return 0
    from sphere_theory.proofs.kernel.__main__ import main as print_kernel_proof

    failed = print_kernel_proof([claim.id], write=sys.stdout.write)
    sys.stdout.write("\n")
    return failed


def _print_numbers(claim: Claim, out: Path) -> bool:
    """What the claim's evidence came to; whether none of it is a surprise."""
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
        mark = _mark(record)
        found = f"{mark} {escape(record['summary'])}" if mark else escape(record["summary"])
        name = f"{record['kind']}: {record['evidence']}"
        table.add_row(escape(name), found + escape(_ruled_out(record)), escape(record["margin"]))
    page = result_page()
    page.print(table)
    for record in records:
        if shown := record["data"].get("shown"):
            _print_shown(shown)
    page.print(source, soft_wrap=True, markup=False)
    return all(record["outcome"] != "surprise" for record in records)


def _ruled_out(record: dict[str, Any]) -> str:
    """The wrong versions that evidence was shown, a line each."""
    lines = [
        f"\n  ✗ {one['name']} (after {one['after']})" if one["killed"] else f"\n  ? {one['name']}: survives"
        for one in record["data"].get("mutants", ())
    ]
    return "\nruled out, after how many examples or rows:" + "".join(lines) if lines else ""


def _print_shown(shown: dict[str, Any]) -> None:
    table = Table(*shown["columns"], title=escape(shown["title"]), title_justify="left", box=SIMPLE_HEAD)
    for row in shown["rows"]:
        table.add_row(*map(escape, row))
    result_page().print(table)


def _measure_now(claim: Claim) -> list[dict[str, Any]]:
    from sphere_theory.claims import Context, run_evidence

    context, records = Context(quick=True), []
    # Proofs have just been shown.
    pieces = [piece for piece in claim.evidence if piece.kind not in {"symbolic", "kernel"}]
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
