"""The main job: run the whole ledger, store what came of it, draw it.

A run can be interrupted: what was found so far lies in ``verify.partial.jsonl`` and is taken up by the next
run of the same source, seed, budget and device.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import torch

import sphere_theory
from sphere_theory.claims import Claim, Context, Evidence, Outcome, figures, run_evidence
from sphere_theory.claims.helper import KINDS, Helper, Task
from sphere_theory.code import source_hash
from sphere_theory.files import replacing
from sphere_theory.journal import Journal, Record
from sphere_theory.plotting import save, theme
from sphere_theory.study.questions.theorem import violations

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Name of the figure: claims and key whose records it draws, and what draws them.
FIGURES: dict[str, tuple[tuple[str, ...], str, Callable[[figures.Records], Figure]]] = {
    "energy-by-layer": (("E5",), "rows", figures.energy_by_layer),
    "enclosure": (("B7",), "audits", figures.enclosures),
    "tightness": (("B7",), "audits", figures.tightness_by_size),
    "regimes": (("B6",), "cells", figures.regimes),
    "violations": (("B5",), "probe", violations),
    "counterexamples": (("B1", "B2", "B3", "E7", "O6", "M3"), "counterexamples", figures.counterexamples),
}


def configuration(context: Context) -> Record:
    """What a run's results depend on.

    Parameters
    ----------
    context
        How evidence is run.

    Returns
    -------
    dict
        Versions, a hash of the source, device, seed and budget.
    """
    return {
        "package": sphere_theory.__version__,
        "source": source_hash(*_SOURCES),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": context.device,
        "seed": context.seed,
        "quick": context.quick,
        "examples_per_property": context.examples,
    }


# What a verdict depends on: all that is run, proofs in Coq, and what the study estimated.
_SOURCES = ("*.py", "*.v", "estimates.json")


def run_ledger(
    claims: Sequence[Claim], context: Context, folder: Path, *, helped: bool = False
) -> Iterator[Record]:
    """Run the evidence of some claims, each as a record, and keep it against an interruption.

    Parameters
    ----------
    claims
        Which.
    context
        How.
    folder
        Where ``verify.partial.jsonl`` is kept until `write_report`; made if missing.
    helped
        Whether a second process runs what needs no layer, beside the measurements; of the ledger's own claims
        alone. Default False.

    Yields
    ------
    dict
        One record for each piece of evidence: first those that an interrupted run has left, then each as it
        is found. `in_order` sorts them.
    """
    store = Journal(_partial(folder), configuration(context), "out")
    pieces = {(claim.id, piece.name): (claim, piece) for claim in claims for piece in claim.evidence}
    known = [record for record in store.records if (record["claim"], record["evidence"]) in pieces]
    yield from known
    for record in known:
        del pieces[record["claim"], record["evidence"]]
    for record in (_side_by_side if helped else _one_by_one)(pieces, context):
        yield store.append(record)


Pieces = Mapping[Task, tuple[Claim, Evidence]]


def _one_by_one(pieces: Pieces, context: Context) -> Iterator[Record]:
    for claim, piece in pieces.values():
        for result in run_evidence(claim, [piece], context):
            yield result.record()


# The order in which a helper begins: what is taken from its end then is short, and shares nothing.
_BEGUN = ("kernel", "symbolic", "property")


def _side_by_side(pieces: Pieces, context: Context) -> Iterator[Record]:
    """Measurements here, the rest in a helper, and what it has not begun here as well once they are done."""
    theirs = [key for kind in _BEGUN for key, (_, piece) in pieces.items() if piece.kind == kind]
    settings = {"seed": context.seed, "quick": context.quick, "device": context.device}
    with Helper(theirs, settings) as helper:
        for key, own in pieces.items():
            if own[1].kind not in KINDS:
                yield from _one_by_one({key: own}, context)
            yield from helper.finished()
        while (task := helper.take()) is not None:
            yield from _one_by_one({task: pieces[task]}, context)
            yield from helper.finished()
        yield from helper.finished()


def in_order(records: Iterable[Record], claims: Sequence[Claim]) -> list[Record]:
    """Records in the ledger's order.

    Parameters
    ----------
    records
        What `run_ledger` yielded, in any order.
    claims
        As it was given.

    Returns
    -------
    list of dict
        Claim by claim, evidence by evidence.
    """
    keys = [(claim.id, piece.name) for claim in claims for piece in claim.evidence]
    return sorted(records, key=lambda record: keys.index((record["claim"], record["evidence"])))


@contextmanager
def a_core_for_the_helper() -> Generator[bool]:
    """Leave one of torch's threads to a helper, if there are two: sharing a core costs more than it brings.

    Yields
    ------
    bool
        Whether there is a core for one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads - 1))
    try:
        yield threads > 1
    finally:
        torch.set_num_threads(threads)


def _partial(folder: Path) -> Path:
    return folder / "verify.partial.jsonl"


def report(records: Sequence[Record], context: Context, seconds: float) -> Record:
    """Everything that was found, as plain values.

    Parameters
    ----------
    records
        What `run_ledger` yielded, in order.
    context
        How it was run.
    seconds
        How long it took.

    Returns
    -------
    dict
        JSON-ready: what was run on what, and the records.
    """
    return configuration(context) | {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "surprises": [record["claim"] for record in records if record["outcome"] == Outcome.SURPRISE],
        "not_checked": [
            f"{record['claim']}, {record['evidence']}"
            for record in records
            if record["outcome"] == Outcome.UNCHECKED
        ],
        "results": list(records),
    }


def verdict_line(found: Record) -> str:
    """The whole run in one line.

    Parameters
    ----------
    found
        What `report` returned.

    Returns
    -------
    str
        Whether every verdict is the recorded one, on how much evidence, and what was not checked.
    """
    results = found["results"]
    claims, surprises = len({record["claim"] for record in results}), found["surprises"]
    mutants = sum(one["killed"] for record in results for one in record["data"].get("mutants", ()))
    verdict = (
        f"{len(surprises)} SURPRISES, in {', '.join(dict.fromkeys(surprises))}"
        if surprises
        else "every verdict is the recorded one"
    )
    missing = f"; not checked here: {'; '.join(found['not_checked'])}" if found["not_checked"] else ""
    return (
        f"{claims} claims, {len(results)} pieces of evidence, {mutants} wrong versions ruled out, "
        f"{found['seconds']:.0f} s, seed {found['seed']}: {verdict}{missing}."
    )


def write_report(found: Record, folder: Path) -> Path:
    """Write ``verify.json``, complete or not at all; what was kept against an interruption goes.

    Parameters
    ----------
    found
        What `report` returned.
    folder
        Where; made if missing.

    Returns
    -------
    Path
        The file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "verify.json"
    text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(target) as partial:
        partial.write_text(text, encoding="utf-8")
    _partial(folder).unlink(missing_ok=True)
    return target


def stored_report(folder: Path) -> Record | None:
    """The last report, if it is of this very source.

    Parameters
    ----------
    folder
        Where `write_report` wrote it.

    Returns
    -------
    dict or None
        None if there is none, or one of other source.
    """
    path = folder / "verify.json"
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # not ours, or damaged: as good as none
        return None
    ours = isinstance(found, dict) and found.get("source") == source_hash(*_SOURCES)
    return found if ours else None


def draw_figures(found: Record, folder: Path) -> list[Path]:
    """Draw what a stored report holds.

    Parameters
    ----------
    found
        What `report` returned, or `verify.json` read back.
    folder
        Where.

    Returns
    -------
    list of Path
        PNG and SVG of each figure whose measurement is in the report.
    """
    provenance = {key: str(found[key]) for key in ("package", "source", "torch", "seed", "quick")}
    written = []
    with theme():
        for name, (claims, key, draw) in FIGURES.items():
            if records := _records(found, claims, key):
                written += save(draw(records), folder / name, provenance)
    return written


def _records(found: Record, claims: Sequence[str], key: str) -> list[Record]:
    """What some claims stored under a key, each record with the name of its claim, in their order."""
    return [
        {"claim": claim} | record
        for claim in claims
        for result in found["results"]
        if result["claim"] == claim
        for record in result["data"].get(key, [])
    ]
