"""The command line in this process."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
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
