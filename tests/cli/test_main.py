"""The entry point: every command is there with its help, and an error of ours is one line."""

from __future__ import annotations

import subprocess
import sys

import pytest
from command import check_wrong_use, command

from sphere_theory.cli.main import app
from sphere_theory.errors import InputError

COMMANDS = [found.callback.__name__ for found in app.registered_commands]


def test_the_commands() -> None:
    asked = "verify claims attack energy edit sweep runs study figures findings forecast"
    assert asked.split() == COMMANDS


@pytest.mark.parametrize("command_name", COMMANDS)
def test_help_shows_one_worked_example(command_name):
    ran = command(command_name, "--help")
    assert ran.returncode == 0
    assert f"Example: sphere-theory {command_name}" in ran.stdout


def test_an_unknown_command_is_said_to_be_unknown() -> None:
    check_wrong_use(["nonsense"], "No such command")


def test_an_error_of_ours_is_one_line_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise InputError("model", "[something] else", "this")

    monkeypatch.setattr("sphere_theory.models.weights.open_checkpoint", refuse)
    ran = command("energy", "minilm")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.splitlines() == ["error: model: expected [something] else, got this"]


def test_an_error_of_others_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("sphere_theory.models.weights.open_checkpoint", fail)
    with pytest.raises(ZeroDivisionError):
        command("energy", "minilm")


def test_heavy_imports_wait() -> None:
    """What only shows its help draws nothing, proves nothing and starts no workers."""
    heavy = {"pandas", "matplotlib", "seaborn", "scipy", "sympy", "distributed", "transformers"}
    code = f"import sys, sphere_theory.cli; print(sorted({heavy} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"
