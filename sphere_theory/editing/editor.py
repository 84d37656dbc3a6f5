"""What an editor is: a value, its hyperparameters and nothing else. What it learns stays with the layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, ClassVar

from sphere_theory.arrays import like
from sphere_theory.editing.problem import EditBatch, LayerMemory, Step
from sphere_theory.errors import DTypeError
from sphere_theory.updates import LowRankUpdate


class Editor(ABC):
    """A method of editing. Subclasses are frozen dataclasses."""

    name: ClassVar[str]

    @abstractmethod
    def solve(self, memory: LayerMemory, batch: EditBatch) -> Step:
        """The step for a batch: ΔW and what is remembered of it.

        Parameters
        ----------
        memory
            The layer; unchanged.
        batch
            Keys and their new values.

        Returns
        -------
        Step
            ΔW and the state that it leaves.
        """

    def update(self, memory: LayerMemory, batch: EditBatch) -> Any:
        """ΔW for a batch.

        Parameters
        ----------
        memory
            The layer; unchanged.
        batch
            Keys and their new values.

        Returns
        -------
        LowRankUpdate or array
            ΔW, of the kind of the layer's weights.

        Raises
        ------
        RangeError
            The layer holds the state of another editor.
        InputError
            As `solve` raises.
        """
        memory.require_state_of(self)
        update = self.solve(memory, batch).update
        if isinstance(update, LowRankUpdate):
            return LowRankUpdate(like(update.left, memory.weight), like(update.right, memory.weight))
        return like(update, memory.weight)

    def apply(self, memory: LayerMemory, batch: EditBatch) -> LayerMemory:
        """The layer after a batch.

        Parameters
        ----------
        memory
            The layer; unchanged.
        batch
            Keys and their new values.

        Returns
        -------
        LayerMemory
            With W + ΔW and what the editor remembers.

        Raises
        ------
        RangeError
            The layer holds the state of another editor.
        NonFiniteError
            W + ΔW overflows.
        InputError
            As `solve` raises.
        """
        memory.require_state_of(self)
        return memory.after(self.solve(memory, batch), batch.size).edited_by(self)

    def record(self) -> dict[str, Any]:
        """Name and hyperparameters as plain values, those of a wrapped editor included."""
        own: dict[str, Any] = {"name": self.name}
        for name in hyperparameters(type(self)):
            value = getattr(self, name)
            own[name] = value.record() if isinstance(value, Editor) else value
        return own


def hyperparameters(editor: type[Editor]) -> tuple[str, ...]:
    """Names of an editor's hyperparameters.

    Parameters
    ----------
    editor
        The class.

    Returns
    -------
    tuple of str
        In the order of its constructor.
    """
    kind: Any = editor  # every editor is a dataclass, which the base class cannot say
    return tuple(entry.name for entry in fields(kind))


def as_editor(value: object, argument: str) -> Editor:
    """Return `value` when it is an editor.

    Parameters
    ----------
    value
        An editor, to be wrapped in another.
    argument
        Its name in the caller's signature.

    Returns
    -------
    Editor
        The editor.

    Raises
    ------
    DTypeError
        Anything else.
    """
    if not isinstance(value, Editor):
        raise DTypeError(argument, "an Editor, such as Memit()", repr(value))
    return value


def types_of(editor: Editor) -> Iterator[type[Editor]]:
    """Of an editor, what it inherits from, and those that it wraps: whose code its updates depend on.

    Parameters
    ----------
    editor
        Any.

    Yields
    ------
    type
        Subclasses of `Editor`, and itself.
    """
    yield from (base for base in type(editor).__mro__ if issubclass(base, Editor))
    for part in vars(editor).values():
        if isinstance(part, Editor):
            yield from types_of(part)
