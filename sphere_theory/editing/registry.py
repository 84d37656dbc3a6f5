"""Every editor by name, for the command line and for records of runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.control import Control
from sphere_theory.editing.editor import Editor, hyperparameters
from sphere_theory.editing.emmet import Emmet
from sphere_theory.editing.encore import Encore
from sphere_theory.editing.evoedit import EvoEdit
from sphere_theory.editing.finetune import FineTune
from sphere_theory.editing.memit import Memit
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.mose import Mose, MoseRight
from sphere_theory.editing.nas import Nas
from sphere_theory.editing.prune import Prune
from sphere_theory.editing.rect import Rect
from sphere_theory.editing.revive import Revive
from sphere_theory.editing.rlsedit import RlsEdit
from sphere_theory.editing.rome import Rome
from sphere_theory.editing.sphere import Sphere
from sphere_theory.errors import RangeError

_CLASSES: tuple[type[Editor], ...] = (
    Rome,
    Memit,
    MemitSequential,
    Emmet,
    AlphaEdit,
    Rect,
    Prune,
    FineTune,
    Encore,
    RlsEdit,
    EvoEdit,
    Revive,
    Nas,
    Mose,
    MoseRight,
    Sphere,
    Control,
)

EDITORS: dict[str, type[Editor]] = {editor.name: editor for editor in _CLASSES}


def find_editor(name: str, **overrides: Any) -> Editor:
    """An editor by its name, with defaults where nothing else is said.

    Parameters
    ----------
    name
        One of `EDITORS`.
    **overrides
        Hyperparameters of that editor.

    Returns
    -------
    Editor
        The editor.

    Raises
    ------
    RangeError
        No editor of that name, or no such hyperparameter; the message lists those there are.
    InputError
        A hyperparameter that the editor refuses.

    Examples
    --------
    >>> find_editor("memit", ridge=100.0)
    Memit(ridge=100.0, damping=0.0)
    """
    if not isinstance(name, str) or name not in EDITORS:
        raise RangeError("name", f"one of {', '.join(EDITORS)}", repr(name))
    editor = EDITORS[name]
    known = hyperparameters(editor)
    unknown = [key for key in overrides if key not in known]
    if unknown:
        raise RangeError("overrides", f"hyperparameters of {name} ({', '.join(known)})", ", ".join(unknown))
    return editor(**overrides)


def editor_of(record: Mapping[str, Any]) -> Editor:
    """The editor that a record describes.

    Parameters
    ----------
    record
        As `Editor.record` returns it, or as it comes back from JSON.

    Returns
    -------
    Editor
        One that is equal to the recorded one.

    Raises
    ------
    RangeError
        A record without a known name, or with hyperparameters that this editor does not have.
    InputError
        A hyperparameter that the editor refuses.
    """
    if not isinstance(record, Mapping) or "name" not in record:
        raise RangeError("record", "a mapping with a name, as Editor.record returns", repr(record))
    values = {key: value for key, value in record.items() if key != "name"}
    if isinstance(values.get("editor"), Mapping):
        values["editor"] = editor_of(values["editor"])
    return find_editor(record["name"], **values)
