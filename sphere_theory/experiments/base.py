"""What is measured once, outside of streams, and stored: one task and its rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from sphere_theory.code import code_hash
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.hosts.base import Edits, Host, StreamSpec

Row = dict[str, Any]


@dataclass(frozen=True)
class Experiment(ABC):
    """A dataclass of plain fields, which say all that its rows depend on, with the code that computes them.

    Attributes
    ----------
    name
        Of the kind of experiment.
    alone
        Whether it has to have the machine for itself, as what measures time.
    """

    name: ClassVar[str]
    alone: ClassVar[bool] = False

    def config(self) -> Row:
        """The fields as plain values."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def code(self) -> str:
        """A hash of the code that its rows depend on."""
        return code_hash(type(self))

    @abstractmethod
    def rows(self, folder: Path) -> list[Row]:
        """Measure.

        Parameters
        ----------
        folder
            Where recorded keys are kept.

        Returns
        -------
        list of dict
            Plain numbers and words by column; the same for the same fields, times apart.
        """


@dataclass(frozen=True)
class OnHost(Experiment):
    """An experiment on one layer with its keys.

    Parameters
    ----------
    host
        The layer.
    seed
        Of whatever is drawn. Default 0.
    """

    host: Host
    seed: int = 0

    def config(self) -> Row:
        """The fields as plain values, those of the host among them."""
        return super().config() | {"host": self.host.label} | self.host.record()

    def code(self) -> str:
        """A hash of the code that its rows depend on, the host's with it."""
        return code_hash(type(self), type(self.host))

    def made(self, folder: Path, edits: int) -> tuple[LayerMemory, Edits]:
        """The layer before any edit and a stream of some edits, in float64.

        Parameters
        ----------
        folder
            Where recorded keys are kept.
        edits
            How many.

        Returns
        -------
        memory, edits
            As of `Host.make`.

        Raises
        ------
        InputError
            As for `Host.make`.
        """
        return self.host.make(StreamSpec(edits, seed=self.seed), folder)
