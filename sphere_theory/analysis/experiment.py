"""What is measured once, outside of streams, and stored: one task and its rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from sphere_theory.editing.problem import LayerMemory
from sphere_theory.streams.job import HostChoice, make_host
from sphere_theory.streams.sources import EditStream

Row = dict[str, Any]


@dataclass(frozen=True)
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

    def config(self) -> Row:
        """The fields as plain values."""
        return asdict(self)

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
    """An experiment on one layer with its keys; see `HostChoice`.

    Parameters
    ----------
    model
        "minilm" or "synthetic". Default "minilm".
    layer
        Of MiniLM. Default 3.
    shape
        (n, d) of a synthetic layer. Default (256, 1024).
    source
        "recorded" for MiniLM; a kind of `Synthetic` keys for a synthetic layer.
    spectrum, decay
        Of synthetic keys. Default "power" and 1.
    seed
        Of whatever is drawn. Default 0.
    """

    model: str = "minilm"
    layer: int = 3
    shape: tuple[int, int] = (256, 1024)
    source: str = "recorded"
    spectrum: str = "power"
    decay: float = 1.0
    seed: int = 0

    @property
    def host(self) -> str:
        """The layer and its keys in words, as figures and findings call them."""
        if self.model == "minilm":
            return f"MiniLM layer {self.layer}"
        kind = f"{self.source} keys"
        return kind if self.source == "orthonormal" else f"{kind}, {self.spectrum} spectrum"

    def choice(self, edits: int) -> HostChoice:
        """The host with a stream of some edits.

        Parameters
        ----------
        edits
            How many.

        Returns
        -------
        HostChoice
            In float64.
        """
        return HostChoice(
            model=self.model,
            layer=self.layer,
            shape=self.shape,
            source=self.source,
            spectrum=self.spectrum,
            decay=self.decay,
            edits=edits,
            seed=self.seed,
        )

    def made(self, folder: Path, edits: int) -> tuple[LayerMemory, EditStream]:
        """The layer before any edit and a stream of some edits.

        Parameters
        ----------
        folder
            Where recorded keys are kept.
        edits
            How many.

        Returns
        -------
        memory, stream
            As of `make_host`.

        Raises
        ------
        InputError
            As for `make_host`.
        """
        return make_host(self.choice(edits), folder)
