"""The command line in this process."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from sphere_theory.cli import main


class Ran(NamedTuple):
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments: str) -> Ran:
    """`sphere-theory` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["sphere-theory", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
    return Ran(stop.value.code or 0, out.getvalue(), err.getvalue())


# The start of a command line that would be right as it stands.
EDIT = ("edit", "synthetic", "--editor", "memit-seq", "--shape", "24", "64")


def edit(store: Path, *more: str) -> Ran:
    """A small stream into a store."""
    settings = ["--edits", "300", "--batch", "20", "--set", "ridge=5", "--every", "5", "--store", str(store)]
    return command(*EDIT, *settings, *more)


def check_wrong_use(arguments: Sequence[str], message: str) -> None:
    """Wrong use says what was expected, on stderr alone, and exits with 2."""
    ran = command(*arguments)
    assert ran.returncode == 2, ran.stdout
    assert message in ran.stderr
    assert ran.stdout == ""
