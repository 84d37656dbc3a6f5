"""Editors by name: those of the command line, and what is said of names that there are not."""

from __future__ import annotations

import naive
import pytest

from sphere_theory.editing.registry import EDITORS, editor_of, find_editor
from sphere_theory.errors import RangeError


def test_the_names_of_the_command_line() -> None:
    wanted = "rome memit memit-seq emmet alphaedit rect prune ft encore rlsedit evoedit revive nas mose"
    assert list(EDITORS) == [*wanted.split(), "mose-right", "sphere", "control"]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: find_editor("memti"), f"name: expected one of {', '.join(EDITORS)}, got 'memti'"),
        (lambda: find_editor(None), f"name: expected one of {', '.join(EDITORS)}, got None"),
        (
            lambda: find_editor("memit", rigde=1.0),
            "overrides: expected hyperparameters of memit (ridge, damping), got rigde",
        ),
        (lambda: find_editor("memit", ridge=-1.0), "ridge: expected a number in (0, ∞), got -1.0"),
        (
            lambda: editor_of({"ridge": 1.0}),
            "record: expected a mapping with a name, as Editor.record returns, got {'ridge': 1.0}",
        ),
    ],
)
def test_names_that_there_are_not(call, message: str) -> None:
    naive.check_refused(call, RangeError, message)
