"""Written up: what a store says about each question, as Markdown, the same text from the same store.

A section has the question, who asks it, what was found on which host, and what was not tested. Every number
is computed from the store; words around it are chosen by the number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sphere_theory.errors import InputError
from sphere_theory.study import answers, reviews
from sphere_theory.study.estimates import Lines

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


@dataclass(frozen=True)
class Section:
    """A question and what answers it.

    Attributes
    ----------
    question
        As it was asked.
    asked
        By whom.
    answer
        Paragraphs of Markdown; none if the store has nothing to say.
    untested
        What stays open whatever the store holds.
    """

    question: str
    asked: str
    answer: Callable[[answers.Material], Lines]
    untested: str


def _silent(material: answers.Material) -> Lines:
    """No store of single layers can tell."""
    return iter(())


SECTIONS = (
    Section(
        "Does hyperspherical energy predict how long editing lasts?",
        "the paper, claim 1",
        answers.predicts,
        "Language models; general abilities after collapse.",
    ),
    Section(
        "Does projecting edits protect what is known?",
        "the paper, claim 2",
        answers.protects,
        "The paper's models and its 38.71% on average, which includes fluency and portability.",
    ),
    Section(
        "Does |ΔV| ≥ (ΔHE/K)² hold?",
        "the paper, Theorem 1",
        answers.bounded,
        "Streams that were run without audits. What is proved, corrected and refuted stands in the ledger "
        "(`sphere-theory claims`).",
    ),
    Section(
        "Does the bound outlast the small-perturbation assumption?",
        "the paper, open question 1",
        answers.smallness,
        "Other editors at these lengths; keys that repeat as subjects do.",
    ),
    Section(
        "How sensitive are results to η and α, and does SPHERE reach what λ does not?",
        "the paper, open question 2",
        answers.sensitive,
        "Other architectures; the settings were not tuned on held-out streams.",
    ),
    Section(
        "Does keeping uniformity keep coding and mathematical reasoning?",
        "the paper, open question 3",
        _silent,
        "All of it: it needs language models and their benchmarks.",
    ),
    Section(
        "Is energy a cause or a companion?",
        "the paper's limitations",
        answers.caused,
        "Interventions along whole streams of thousands of edits, and on several layers at once.",
    ),
    Section(
        "After how many edits will a stream collapse, seen from its first tenth?",
        "editing capacity",
        answers.forecasts,
        "Streams of other hosts than the one that a forecast was fitted on.",
    ),
    Section(
        "Are real keys orthonormal, and is ΔW small?",
        "reviewers",
        reviews.orthonormal,
        "Keys of larger models.",
    ),
    Section(
        "What does the projection cost beside the edit?",
        "reviewers",
        reviews.projection_time,
        "GPUs.",
    ),
    Section(
        "Does the pretrained principal space stay the right one?",
        "reviewers",
        reviews.turning,
        "Refreshing it every so often instead of before every batch.",
    ),
    Section(
        "Why directions of variance for an energy of angles?",
        "reviewers",
        reviews.variance,
        "Edits late in a stream.",
    ),
    Section(
        "How do SPHERE's space and AlphaEdit's null space lie to each other?",
        "reviewers",
        reviews.overlapping,
        "Other models; C0 from more tokens.",
    ),
    Section(
        "What does it cost, and what would it cost at 70B and 405B?",
        "the paper's limitations",
        reviews.costs,
        "The extrapolated shapes themselves.",
    ),
)


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
    return _text(answers.Material(store))


def _text(material: answers.Material) -> str:
    conditions = "; ".join(sorted(material.points["conditions"].unique()))
    head = f"{_HEAD}Runs are in {conditions}.\n"
    sections = (_written(section, material) for section in SECTIONS)
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


def _written(section: Section, material: answers.Material) -> str:
    found = "\n\n".join(line for line in section.answer(material) if line)
    body = found or "The store holds nothing about it."
    return (
        f"## {section.question}\n\nAsked by: {section.asked}.\n\n{body}\n\nNot tested: {section.untested}\n"
    )


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
    material = answers.Material(store)
    texts = {out: _text(material), estimates or out.with_suffix(".json"): material.estimates.json()}
    for path, text in texts.items():
        _write_whole(path, text)


def _write_whole(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise InputError("out", "a file that can be written", f"{path}: {error.strerror}") from error
