"""What is measured once, outside of streams, and stored: one task and its rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar


class Experiment(ABC):
    """A dataclass of plain fields, which say all that its rows depend on.

    Attributes
    ----------
    name
        Of the kind of experiment.
    alone
        Whether it has to have the machine for itself, as what measures time.
    """

    name: ClassVar[str]
    alone: ClassVar[bool] = False

    def config(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)  # type: ignore[call-overload]  # every experiment is a dataclass

    @abstractmethod
    def rows(self, folder: Path) -> list[dict[str, Any]]:
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
