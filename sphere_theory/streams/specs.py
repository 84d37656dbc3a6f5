"""From names and settings, as they are typed, to a run: host, editor, measures, and the memory it needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sphere_theory.arrays import as_choice
from sphere_theory.editing.control import KINDS, Control
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.registry import find_editor
from sphere_theory.editing.sphere import Sphere
from sphere_theory.errors import RangeError
from sphere_theory.hosts.base import Host, StreamSpec
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.memory import MemoryPlan, memory_plan

# Hyperparameters of SPHERE that have no option of their own.
_OF_SPHERE = ("basis", "rows", "rank_rule", "solve_on")


@dataclass(frozen=True)
class Task:
    """One run: all that `run_stream` is to be asked.

    Attributes
    ----------
    host, stream
        The layer, and which edits are asked of it.
    editor
        How to edit.
    measures
        What to measure.
    batch
        Edits a batch.
    keep_updates
        Whether ΔW of every batch is kept.
    threads
        Threads that torch computes with: the last bits of the result may depend on them.
    """

    host: Host
    stream: StreamSpec
    editor: Editor
    measures: Measures
    batch: int = 100
    keep_updates: bool = False
    threads: int = 1

    def __str__(self) -> str:
        return f"{_words(self.editor)} on {self.host}, order {self.stream.order}, seed {self.stream.seed}"

    @property
    def memory(self) -> MemoryPlan:
        """The memory that it will need, see `memory_plan`."""
        plan = memory_plan(
            self.host.shape,
            self.editor,
            edits=self.stream.edits,
            batch=self.batch,
            dtype=self.stream.scalars,
        )
        return plan | self.host.extra_memory(self.stream)


def _words(editor: Editor) -> str:
    if isinstance(editor, Sphere):
        return f"SPHERE η={editor.eta:g} α={editor.alpha:g} of {editor.editor}"
    if isinstance(editor, Control):
        return f"{KINDS[editor.kind]} for η={editor.eta:g} α={editor.alpha:g} of {editor.editor}"
    return str(editor)


def make_editor(
    name: str,
    *,
    defaults: Mapping[str, Any] | None = None,
    settings: Sequence[str] | Mapping[str, Any] = (),
    sphere: tuple[float, float] | None = None,
    policy: str = "paper",
    compensate: bool = False,
    control: str | None = None,
    seed: int = 0,
) -> Editor:
    """The editor that was asked for.

    Parameters
    ----------
    name
        One of the catalog.
    defaults
        Hyperparameters that it takes, where it has them, unless they are set: the host's own.
    settings
        Hyperparameters, as ``name=value`` or by name: of the editor, of the one it wraps, or of `Sphere`
        (basis, rows, rank_rule, solve_on).
    sphere
        η and α; None: no projection.
    policy
        "paper" or "released", as in `Sphere`.
    compensate
        As in `Sphere`.
    control
        A kind of `Control` that stands for SPHERE, with its η and α; None: SPHERE itself.
    seed
        Of the control's random subspace; no other kind takes it.

    Returns
    -------
    Editor
        Ready to edit.

    Raises
    ------
    RangeError
        An unknown name or setting, a value outside its range, or a control of SPHERE with another policy
        or with compensation.
    """
    if not isinstance(settings, Mapping):
        settings = dict(_setting(text) for text in settings)
    chosen = dict(settings)
    as_choice(policy, "policy", ("paper", "released"))
    if sphere is None:
        if compensate:
            raise RangeError("compensate", "SPHERE to compensate: --sphere ETA ALPHA", "none")
        if control is not None:
            raise RangeError("control", "η and α of the SPHERE that it stands for", "none")
        return _built(name, chosen, defaults or {})
    eta, alpha = sphere
    if control is not None:
        if policy != "paper" or compensate:
            asked = f"policy={policy!r}, compensate={compensate}"
            raise RangeError("control", 'policy="paper" and no compensation beside it', asked)
        # A seed that changes nothing would make two runs of one.
        drawn = {"seed": seed} if control == "random" else {}
        return Control(_built(name, chosen, defaults or {}), kind=control, eta=eta, alpha=alpha, **drawn)
    own = {key: chosen.pop(key) for key in _OF_SPHERE if key in chosen}
    wrap = Sphere.paper if policy == "paper" else Sphere.released
    return wrap(_built(name, chosen, defaults or {}), eta=eta, alpha=alpha, compensate=compensate, **own)


def _built(name: str, settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> Editor:
    """An editor; settings that a wrapping editor does not have go to the one it wraps, named by `editor`."""
    default = find_editor(name)
    inner = getattr(default, "editor", None)
    if inner is None:
        fitting = {key: value for key, value in defaults.items() if key in default.record()}
        return find_editor(name, **fitting | dict(settings))
    own = {key: value for key, value in settings.items() if key in default.record()}
    rest = {key: value for key, value in settings.items() if key not in own}
    wrapped = own.pop("editor", inner.name)
    return find_editor(name, **own, editor=_built(wrapped, rest, defaults))


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise RangeError("set", "name=value", repr(text))
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
