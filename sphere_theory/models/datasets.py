"""Prompts to edit, with their subjects and paraphrases, and texts to leave alone."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from sphere_theory.errors import ModelError, first_line

# What is kept apart, to see what editing does to what was not edited: packaged subjects of each kind, and
# locality prompts of CounterFact.
_KEPT_SUBJECTS = 6
PRESERVED_COUNTERFACT = 1000

_FIELDS = ("prompt", "subject", "rephrase_prompt", "locality_prompt")


@dataclass(frozen=True)
class Prompt:
    """One fact to edit.

    Attributes
    ----------
    text
        The prompt, which holds the subject.
    subject
        Whose fact it is.
    paraphrase
        Another prompt for the same fact, which holds the subject too.
    """

    text: str
    subject: str
    paraphrase: str


@dataclass(frozen=True)
class PromptSet:
    """Prompts to edit and texts to leave alone.

    Attributes
    ----------
    name
        Where they come from.
    prompts
        What can be edited.
    preserved
        Pairs (text, subject) that are never edited; an empty subject stands for the end of the text.
    background
        Texts whose tokens make up the second moment C0; none of them is edited.
    """

    name: str
    prompts: tuple[Prompt, ...]
    preserved: tuple[tuple[str, str], ...]
    background: tuple[str, ...]


def reference_sentences() -> tuple[str, ...]:
    """Return the 320 plain English sentences that this package carries.

    They were written for it: one fact each, from sixteen fields in turn, so that every prefix is mixed.

    Returns
    -------
    tuple of str
        The sentences.
    """
    text = resources.files("sphere_theory.models").joinpath("sentences.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def packaged_prompts() -> PromptSet:
    """Return the prompts that this package carries: 3,300 to edit, 330 to preserve.

    Eleven kinds of subjects (cities, scientists, animals, …), 66 of each, every subject in five of its
    kind's ten plain English prompts, each with a paraphrase. They were written for this package. What is
    preserved are the prompts of six subjects of each kind, none of which is edited. The background are
    `reference_sentences` and, for every subject, the five prompts that are not asked of it.

    Returns
    -------
    PromptSet
        In one fixed, mixed order.
    """
    text = resources.files("sphere_theory.models").joinpath("prompts.json").read_text(encoding="utf-8")
    shuffle = random.Random(0).shuffle
    edited: list[Prompt] = []
    kept: list[Prompt] = []
    background = list(reference_sentences())
    for kind in json.loads(text).values():
        subjects = list(enumerate(kind["subjects"]))
        shuffle(subjects)
        for rank, (place, subject) in enumerate(subjects):
            # Even places take every second prompt from the first on, odd ones the others.
            for prompt, paraphrase in kind["prompts"][place % 2 :: 2]:
                chosen = kept if rank < _KEPT_SUBJECTS else edited
                chosen.append(Prompt(prompt.format(subject), subject, paraphrase.format(subject)))
            background += [prompt.format(subject) for prompt, _ in kind["prompts"][1 - place % 2 :: 2]]
    shuffle(edited)
    shuffle(kept)
    preserved = tuple((prompt.text, prompt.subject) for prompt in kept)
    return PromptSet("packaged", tuple(edited), preserved, tuple(background))


def counterfact(path: str | Path) -> PromptSet:
    """Read CounterFact in its single-sentence form (Meng et al. 2022, arXiv 2202.05262).

    Parameters
    ----------
    path
        A JSON file: a list of records with prompt, subject, rephrase_prompt and locality_prompt.

    Returns
    -------
    PromptSet
        The first of each distinct prompt; of the locality prompts that are not edited 1,000 preserved, the
        other ones as background.

    Raises
    ------
    ModelError
        Not readable, not such a list, a prompt without its subject, or too few locality prompts.
    """
    records = _records(Path(path))
    prompts: dict[str, Prompt] = {}
    for record in records:
        prompt = Prompt(record["prompt"], record["subject"], record["rephrase_prompt"])
        prompts.setdefault(prompt.text, prompt)
    edited = set(prompts)
    locality = [text for text in dict.fromkeys(r["locality_prompt"] for r in records) if text not in edited]
    if len(locality) <= PRESERVED_COUNTERFACT:
        expected = f"more than {PRESERVED_COUNTERFACT} distinct locality prompts"
        raise ModelError("data", expected, f"{len(locality)} in {path}")
    random.Random(0).shuffle(locality)
    kept = tuple((text, "") for text in locality[:PRESERVED_COUNTERFACT])
    return PromptSet("counterfact", tuple(prompts.values()), kept, tuple(locality[PRESERVED_COUNTERFACT:]))


def _records(path: Path) -> Sequence[dict[str, Any]]:
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError("data", f"a readable JSON file {path}", first_line(error)) from error
    if not isinstance(records, list) or not records:
        raise ModelError("data", f"a list of records in {path}", type(records).__name__)
    for index, record in enumerate(records):
        missing = [name for name in _FIELDS if not isinstance(record, dict) or not _is_text(record.get(name))]
        if missing:
            raise ModelError("data", f"text under {', '.join(_FIELDS)}", f"none under {missing[0]}", [index])
        for name in ("prompt", "rephrase_prompt"):
            if record["subject"] not in record[name]:
                raise ModelError("data", f"the subject inside {name}", repr(record["subject"]), [index])
    return records


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
