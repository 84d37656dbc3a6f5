"""Prompts: each with its subject, and none of those that are edited among what is left alone."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sphere_theory.errors import ModelError
from sphere_theory.models import datasets
from sphere_theory.models.datasets import PromptSet, counterfact, packaged_prompts, reference_sentences


@pytest.fixture(scope="module")
def packaged() -> PromptSet:
    return packaged_prompts()


def stands_in(subject: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(subject)}(?!\w)", text) is not None


def check_apart(prompts: PromptSet) -> None:
    """What is edited is nowhere preserved and not in the background, and nothing is there twice."""
    edited = {prompt.text for prompt in prompts.prompts}
    asked = edited | {prompt.paraphrase for prompt in prompts.prompts}
    preserved = [text for text, _ in prompts.preserved]
    assert len(edited) == len(prompts.prompts)
    assert len(set(preserved)) == len(preserved)
    assert len(set(prompts.background)) == len(prompts.background)
    assert not asked & set(preserved)
    assert not edited & set(prompts.background)


def test_the_packaged_prompts_are_as_many_as_they_say(packaged: PromptSet) -> None:
    assert (len(packaged.prompts), len(packaged.preserved)) == (3300, 330)
    assert len(packaged.background) == len(reference_sentences()) + 11 * 66 * 5
    subjects = Counter(prompt.subject for prompt in packaged.prompts)
    assert set(subjects.values()) == {5}
    assert len(subjects) == 660
    assert len({subject for _, subject in packaged.preserved}) == 66


def test_every_subject_stands_as_a_word_in_its_texts(packaged: PromptSet) -> None:
    for prompt in packaged.prompts:
        assert stands_in(prompt.subject, prompt.text)
        assert stands_in(prompt.subject, prompt.paraphrase)
        assert prompt.text != prompt.paraphrase
    assert all(stands_in(subject, text) for text, subject in packaged.preserved)


def test_what_is_edited_is_not_left_alone(packaged: PromptSet) -> None:
    check_apart(packaged)
    edited = {prompt.subject for prompt in packaged.prompts}
    assert not edited & {subject for _, subject in packaged.preserved}
    paraphrases = {prompt.paraphrase for prompt in packaged.prompts}
    assert not paraphrases & set(packaged.background)
    assert set(reference_sentences()) <= set(packaged.background)


def test_the_texts_are_plain(packaged: PromptSet) -> None:
    texts = [
        *(p.text for p in packaged.prompts),
        *(p.paraphrase for p in packaged.prompts),
        *packaged.background,
    ]
    assert all(text == text.strip() and "  " not in text and "{" not in text for text in texts)


def test_the_order_is_fixed_and_mixed(packaged: PromptSet) -> None:
    assert packaged == packaged_prompts()
    assert len({prompt.subject for prompt in packaged.prompts[:100]}) > 80


def test_counterfact(data_folder: Path) -> None:
    path = data_folder / "counterfact-edit.json"
    if not path.exists():
        pytest.skip(f"needs {path}")
    found = counterfact(path)
    check_apart(found)
    assert len(found.prompts) > 9000
    assert len(found.preserved) == 1000
    assert all(p.subject in p.text and p.subject in p.paraphrase for p in found.prompts)
    assert all(subject == "" for _, subject in found.preserved)
    assert found == counterfact(str(path))


def records(count: int = 40, **changes: Any) -> list[dict[str, Any]]:
    made = [
        {
            "prompt": f"Town {i} lies in",
            "subject": f"Town {i}",
            "rephrase_prompt": f"People of Town {i} live in",
            "locality_prompt": f"Village {i} lies in",
            "other": i,
        }
        for i in range(count)
    ]
    made[7] |= changes
    return made


@pytest.fixture
def small_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(datasets, "PRESERVED_COUNTERFACT", 10)
    return tmp_path / "facts.json"


def test_the_first_of_each_prompt_is_taken(small_set: Path) -> None:
    made = records()
    made.append(made[3] | {"rephrase_prompt": "Who lives in Town 3?"})
    made.append({**made[4], "prompt": "Town 40 and Town 4", "locality_prompt": made[5]["prompt"]})
    small_set.write_text(json.dumps(made), encoding="utf-8")
    found = counterfact(small_set)
    check_apart(found)
    assert [prompt.text for prompt in found.prompts] == [
        *(r["prompt"] for r in made[:40]),
        made[41]["prompt"],
    ]
    assert found.prompts[3].paraphrase == "People of Town 3 live in"
    assert (len(found.preserved), len(found.background)) == (10, 30)


BAD: dict[str, tuple[Any, str]] = {
    "no JSON": ("{", r"data: expected a readable JSON file .*, got JSONDecodeError"),
    "not UTF-8": (b"\xff\xfe", r"data: expected a readable JSON file .*, got UnicodeDecodeError"),
    "no list": ({"a": 1}, r"data: expected a list of records in .*, got dict"),
    "empty": ([], r"data: expected a list of records in .*, got list"),
    "no records": ([1, 2], r"data: expected text under prompt, .*, got none under prompt \(first at 0\)"),
    "missing": (records(subject=None), r"got none under subject \(first at 7\)"),
    "blank": (records(rephrase_prompt=" "), r"got none under rephrase_prompt \(first at 7\)"),
    "number": (records(locality_prompt=3), r"got none under locality_prompt \(first at 7\)"),
    "no subject": (
        records(subject="Rome"),
        r"data: expected the subject inside prompt, got 'Rome' \(first at 7\)",
    ),
    "no subject in the other": (
        records(rephrase_prompt="Where?"),
        r"data: expected the subject inside rephrase_prompt, got 'Town 7' \(first at 7\)",
    ),
    "too few": (records(10), r"data: expected more than 10 distinct locality prompts, got 10 in "),
}


@pytest.mark.parametrize("name", BAD)
def test_files_that_are_not_counterfact(name: str, small_set: Path) -> None:
    content, message = BAD[name]
    if isinstance(content, bytes):
        small_set.write_bytes(content)
    else:
        small_set.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    with pytest.raises(ModelError, match=message) as caught:
        counterfact(small_set)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"data: expected a readable JSON file .*, got FileNotFoundError"):
        counterfact(tmp_path / "nothing.json")
