"""Written up: what a store says about each question, as Markdown, the same text from the same store.

A section has the question, who asks it, what was found on which host, and what was not tested. Every number
is computed from the store; words around it are chosen by the number.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from sphere_theory.errors import InputError
from sphere_theory.files import replacing
from sphere_theory.study.estimates import Estimates
from sphere_theory.study.question import Material, Question, questions
from sphere_theory.study.questions.prediction import host_estimates
from sphere_theory.study.questions.theorem import audit_counts

if TYPE_CHECKING:
    from sphere_theory.streams.store import RunStore

_HEAD = """\
# Findings

Written by `make findings` from a store that `sphere-theory study` filled, and not edited by hand. Intervals
are 95%: over seeds (Student's t) unless a section says over what else, or from resampling whole runs for
correlations, warnings, forecasts, exponents of edits and shares. A host is one layer with its keys; nothing
here is about the text that a language model writes, its fluency or its reasoning. Efficacy, generalisation
and specificity are retrieval of a key's value among others.
"""


def findings(store: RunStore) -> str:
    """Everything that a store says, as Markdown.

    Parameters
    ----------
    store
        Of runs and experiments.

    Returns
    -------
    str
        The same text for the same store.

    Raises
    ------
    InputError
        The store has no run with all measures.
    """
    return _text(Material(store))


def _text(material: Material) -> str:
    conditions = "; ".join(sorted(material.points["conditions"].unique()))
    head = f"{_HEAD}Runs are in {conditions}.\n"
    sections = (_written(question, material) for question in questions())
    return "\n".join([head, *sections, _provenance(material.store)])


def _provenance(store: RunStore) -> str:
    """What everything was computed with: numbers of different sources need not belong together."""
    lines = ["## Computed with", ""]
    for what, environments in store.environments().items():
        keys = ("package", "source", "torch", "threads", "processor")
        counted = Counter(
            ", ".join(f"{key} {environment[key]}" for key in keys if key in environment)
            for environment in environments
        )
        lines += [f"- {count} {what}: {words}" for words, count in sorted(counted.items())]
    return "\n".join(lines) + "\n"


def _written(one: Question, material: Material) -> str:
    found = "\n\n".join(line for line in one.answer(material) if line)
    body = found or "The store holds nothing about it."
    return f"## {one.question}\n\nAsked by: {one.asked}.\n\n{body}\n\nNot tested: {one.untested}\n"


def write_findings(store: RunStore, out: Path, estimates: Path | None = None) -> None:
    """Write the findings of a store, and the estimates that the ledger quotes from them, each file whole.

    Parameters
    ----------
    store
        Of runs and experiments.
    out
        The page; its folder is made if missing.
    estimates
        Where the numbers of claim 1 and of the audits go as JSON. Default: beside the page, by its name.

    Raises
    ------
    InputError
        The store has no run with all measures, or a file cannot be written.
    """
    material = Material(store)
    numbers = Estimates(host_estimates(material), audit_counts(material.points))
    texts = {out: _text(material), estimates or out.with_suffix(".json"): numbers.json()}
    for path, text in texts.items():
        _write_whole(path, text)


def _write_whole(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError("out", "a file that can be written", f"{path}: {error.strerror}") from error
