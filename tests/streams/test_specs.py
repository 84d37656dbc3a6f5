"""From words to an editor, and a run in words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.control import Control
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.memit import Memit
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.prune import Prune
from sphere_theory.editing.registry import EDITORS
from sphere_theory.editing.rome import Rome
from sphere_theory.editing.sphere import Sphere
from sphere_theory.errors import RangeError
from sphere_theory.hosts.base import StreamSpec
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.hosts.synthetic import SyntheticLayer
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.memory import memory_plan
from sphere_theory.streams.specs import Task, make_editor

DEFAULTS = MiniLM.editor_defaults

MADE: dict[str, tuple[Callable[[], Editor], Editor]] = {
    "default": (lambda: make_editor("memit", defaults={}), Memit()),
    "minilm": (lambda: make_editor("memit", defaults=DEFAULTS), Memit(ridge=15.0)),
    "set": (lambda: make_editor("memit", defaults=DEFAULTS, settings=["ridge=7"]), Memit(ridge=7)),
    "no ridge": (lambda: make_editor("rome", defaults=DEFAULTS), Rome()),
    "inner": (
        lambda: make_editor("prune", defaults=DEFAULTS, settings=["damping=2"]),
        Prune(Memit(ridge=15.0, damping=2)),
    ),
    "another inner": (
        lambda: make_editor("prune", defaults={}, settings=["editor=alphaedit", "l2=3.5"]),
        Prune(AlphaEdit(l2=3.5)),
    ),
    "sphere": (
        lambda: make_editor("memit-seq", defaults=DEFAULTS, sphere=(0.4, 0.9)),
        Sphere(MemitSequential(ridge=15.0), eta=0.4, alpha=0.9),
    ),
    "released": (
        lambda: make_editor("memit", defaults={}, sphere=(0.5, 0.8), policy="released"),
        Sphere(Memit(), basis="current", rows="unit", rank_rule="released"),
    ),
    "settings of SPHERE": (
        lambda: make_editor(
            "memit",
            defaults=DEFAULTS,
            sphere=(0.4, 1.0),
            settings=["solve_on=unprojected", "rows=unit", "damping=1"],
        ),
        Sphere(Memit(15.0, 1), 0.4, 1.0, rows="unit", solve_on="unprojected"),
    ),
    "control": (
        lambda: make_editor("memit", defaults=DEFAULTS, sphere=(0.4, 0.9), control="bottom", seed=3),
        Control(Memit(15.0), "bottom", 0.4, 0.9),
    ),
    "random control": (
        lambda: make_editor("memit", defaults=DEFAULTS, sphere=(0.4, 0.9), control="random", seed=3),
        Control(Memit(15.0), "random", 0.4, 0.9, seed=3),
    ),
    "control by name": (
        lambda: make_editor(
            "control", defaults=DEFAULTS, settings=["editor=memit", "kind=random", "ridge=7"]
        ),
        Control(Memit(7), "random"),
    ),
    "compensated": (
        lambda: make_editor("memit-seq", defaults={}, sphere=(0.5, 0.8), compensate=True),
        Sphere(MemitSequential(), compensate=True),
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_editors_from_words(name: str) -> None:
    make, expected = MADE[name]
    assert make() == expected


@pytest.mark.parametrize("name", EDITORS)
def test_every_editor_of_the_catalog_can_be_named(name: str) -> None:
    assert make_editor(name, defaults=DEFAULTS).name == name


BAD_EDITORS: dict[str, tuple[Callable[[], object], str]] = {
    "name": (lambda: make_editor("mend", defaults=DEFAULTS), "name: expected one of rome, memit"),
    "setting": (lambda: make_editor("memit", defaults=DEFAULTS, settings=["rigde=3"]), "rigde"),
    "no value": (
        lambda: make_editor("memit", defaults=DEFAULTS, settings=["ridge"]),
        "set: expected name=value, got 'ridge'",
    ),
    "no name": (
        lambda: make_editor("memit", defaults=DEFAULTS, settings=["=3"]),
        "set: expected name=value, got '=3'",
    ),
    "range": (
        lambda: make_editor("memit", defaults=DEFAULTS, settings=["ridge=-1"]),
        "ridge: expected a number",
    ),
    "NaN": (
        lambda: make_editor("memit", defaults=DEFAULTS, settings=["ridge=NaN"]),
        "ridge: expected a number",
    ),
    "word": (
        lambda: make_editor("memit", defaults=DEFAULTS, settings=["ridge=big"]),
        "ridge: expected a number",
    ),
    "inner": (
        lambda: make_editor("prune", defaults=DEFAULTS, settings=["editor=mend"]),
        "name: expected one of rome, memit",
    ),
    "eta": (
        lambda: make_editor("memit", defaults=DEFAULTS, sphere=(0.0, 0.5)),
        "eta: expected a number in (0, 1]",
    ),
    "alpha": (
        lambda: make_editor("memit", defaults=DEFAULTS, sphere=(0.5, 3.0)),
        "alpha: expected a number in [0, 2]",
    ),
    "policy": (
        lambda: make_editor("memit", defaults=DEFAULTS, policy="best"),
        "policy: expected one of 'paper', 'released', got 'best'",
    ),
    "control alone": (
        lambda: make_editor("memit", defaults=DEFAULTS, control="random"),
        "control: expected η and α of the SPHERE that it stands for, got none",
    ),
    "control compensated": (
        lambda: make_editor(
            "memit-seq", defaults=DEFAULTS, sphere=(0.5, 0.8), control="random", compensate=True
        ),
        "no compensation beside it, got policy='paper', compensate=True",
    ),
    "control kind": (
        lambda: make_editor("memit", defaults=DEFAULTS, sphere=(0.5, 0.8), control="top"),
        "kind: expected one of 'shrink', 'random', 'bottom', got 'top'",
    ),
    "compensate alone": (
        lambda: make_editor("memit-seq", defaults=DEFAULTS, compensate=True),
        "compensate: expected SPHERE to compensate: --sphere ETA ALPHA, got none",
    ),
    "compensate memit": (
        lambda: make_editor("memit", defaults=DEFAULTS, sphere=(0.5, 0.8), compensate=True),
        "compensate: expected False, or an editor that solves with all past keys",
    ),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", BAD_EDITORS)
def test_editors_that_are_not_there(name: str) -> None:
    call, said = BAD_EDITORS[name]
    with pytest.raises(RangeError) as caught:
        call()
    assert said in str(caught.value)


def test_the_memory_of_a_task_is_that_of_its_plan_and_of_its_host() -> None:
    task = Task(SyntheticLayer((40_960, 143_360)), StreamSpec(300, dtype="float32"), Memit(), Measures(), 50)
    plan = memory_plan((40_960, 143_360), Memit(), edits=300, batch=50, dtype=torch.float32)
    assert task.memory == plan


def test_a_task_in_words() -> None:
    task = Task(SyntheticLayer(), StreamSpec(order="similarity", seed=4), Memit(ridge=2.0), Measures())
    assert str(task) == (
        "Memit(ridge=2.0, damping=0.0) on synthetic, gaussian keys, order similarity, seed 4"
    )
