"""A matrix of a model of one's own, under synthetic keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_choice
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.errors import RangeError
from sphere_theory.hosts.base import Host, Report, StreamSpec
from sphere_theory.hosts.edits import EditStream
from sphere_theory.hosts.keys import KINDS, SyntheticKeys
from sphere_theory.hosts.synthetic import keys_in_words, under_synthetic_keys
from sphere_theory.models.weights import load_layer, open_checkpoint


@dataclass(frozen=True)
class CheckpointLayer(Host):
    """One matrix out of anything that `load_layer` takes by name.

    Parameters
    ----------
    model
        A folder, a file or a hub id.
    tensor
        Name of the matrix.
    source
        A kind of `SyntheticKeys`. Default "gaussian".
    spectrum, decay
        Of the keys. Default "power" and 1.

    Raises
    ------
    RangeError
        No matrix named, or an unknown source.
    """

    model: str = ""
    tensor: str = ""
    source: str = "gaussian"
    spectrum: str = "power"
    decay: float = 1.0

    name: ClassVar[str] = "checkpoint"
    title: ClassVar[str | None] = "models of one's own"
    varied: ClassVar[str] = "tensor"

    def __post_init__(self) -> None:
        as_choice(self.source, "source", KINDS)
        if not self.tensor:
            raise RangeError("tensor", f"the name of a matrix of {self.model}", "nothing")

    def __str__(self) -> str:
        """As in lists of tasks."""
        return f"{self.model} {self.tensor}, {self.source} keys"

    @property
    def weights(self) -> str:
        """As of `Host`; a path by its last part alone."""
        return f"{Path(self.model).name} {self.tensor}"

    @property
    def label(self) -> str:
        """As of `Host`."""
        return f"{self.weights}, {keys_in_words(self.source, self.spectrum)}"

    @property
    def shape(self) -> tuple[int, int]:
        """As of `Host`, from the checkpoint's header."""
        n, d = open_checkpoint(self.model).shape(self.tensor)
        return n, d

    def weight(self, seed: int = 0) -> Float[Tensor, "n d"]:
        """As of `Host`."""
        return torch.as_tensor(load_layer(self.model, self.tensor))

    def with_edits(
        self, W: Float[Tensor, "n d"], spec: StreamSpec, folder: Path, report: Report
    ) -> tuple[LayerMemory, EditStream]:
        """As of `Host`."""
        return under_synthetic_keys(W, SyntheticKeys(self.source, self.spectrum, self.decay, spec.seed), spec)
