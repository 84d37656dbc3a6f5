"""What is edited: the interface of a host, and of the edits that are asked of it.

A host is one layer, real or drawn, with a source of edits. Everything above it (runner, grids, experiments,
study, commands) knows a host by this interface alone; a new one is one file and one line of the registry.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_choice
from sphere_theory.editing.problem import EditBatch, LayerMemory

Row = dict[str, Any]

# What every host's judge tells of its edits, as shares.
METRICS = ("efficacy", "generalisation", "specificity")

# Told what is being done, and how much of how much is.
Report = Callable[[str, int, int], None]

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def quiet(what: str, done: int, total: int) -> None:
    """Report to nobody."""


class Judge(ABC):
    """How well a layer does what its edits asked, made once before the first of them.

    The columns are the host's own: of a layer retrieval among other values, of a language model what it says.
    """

    @abstractmethod
    def newest(self, before: LayerMemory, after: LayerMemory) -> Row:
        """Columns that every row has: what became of the newest batch.

        Parameters
        ----------
        before, after
            The layer before and after the batch.

        Returns
        -------
        dict
            Plain numbers by column.
        """

    @abstractmethod
    def everything(self, start: int, after: LayerMemory) -> Row:
        """The costly columns: all edits so far, and what is to be preserved.

        Parameters
        ----------
        start
            Edits before the newest batch.
        after
            The layer after it, or one with the same edits whose weights were changed otherwise.

        Returns
        -------
        dict
            Plain numbers by column; among them in_force, efficacy, generalisation and specificity.
        """


class Edits(ABC):
    """A sequence of edits of one layer, and what is needed to judge them."""

    record: Mapping[str, Any]

    @abstractmethod
    def __len__(self) -> int:
        """How many."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of everything in it."""

    @abstractmethod
    def of(self, host: Mapping[str, Any]) -> Edits:
        """The same edits with more in their record.

        Parameters
        ----------
        host
            Of which host they are, as plain values.

        Returns
        -------
        Edits
            With another digest.
        """

    @abstractmethod
    def batch(self, start: int, stop: int, weight: Float[Tensor, "n d"] | None = None) -> EditBatch:
        """The edits from `start` to `stop`, keys and values in columns.

        Parameters
        ----------
        start, stop
            Half-open interval of edits.
        weight
            W before them, for edits whose keys or values depend on it.

        Returns
        -------
        EditBatch
            K, (d, b), and V, (n, b).
        """

    @abstractmethod
    def fitted(self, W: Float[Tensor, "n d"]) -> Edits:
        """The same edits on the device and in the dtype of a layer's weights.

        Parameters
        ----------
        W
            Weights before any edit.

        Returns
        -------
        Edits
            Itself, digest and all, where nothing has to be moved.

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError
            They are not of this layer.
        """

    @abstractmethod
    def judge(
        self, W: Float[Tensor, "n d"], *, candidates: int, preserved_candidates: int, seed: int
    ) -> Judge:
        """What tells how well a layer does what they ask.

        Parameters
        ----------
        W
            Weights before any edit.
        candidates, preserved_candidates, seed
            As of `Measures`.

        Returns
        -------
        Judge
            Ready for every row of a run.
        """


@dataclass(frozen=True)
class StreamSpec:
    """Which edits are asked of a host, and in what arithmetic.

    Parameters
    ----------
    edits
        How many. Default 1,000.
    order
        One of `ORDERS`. Default "random".
    seed
        Of whatever is drawn.
    noise
        0: the host's own paraphrases where it has some; otherwise keys with noise of this relative size.
    dtype
        In which the weights are kept: a key of `DTYPES`. Default "float64".
    device
        Where to compute.

    Raises
    ------
    RangeError
        An unknown dtype.
    """

    edits: int = 1000
    order: str = "random"
    seed: int = 0
    noise: float = 0.0
    dtype: str = "float64"
    device: str = "cpu"

    def __post_init__(self) -> None:
        as_choice(self.dtype, "dtype", tuple(DTYPES))

    @property
    def facts(self) -> int:
        """One for each edit, but two at least: a fact is given another one's value."""
        return max(self.edits, 2)

    @property
    def scalars(self) -> torch.dtype:
        """The dtype itself."""
        return DTYPES[self.dtype]


@dataclass(frozen=True)
class Host(ABC):
    """One layer that can be edited: a dataclass of plain fields, which say all that it depends on.

    Attributes
    ----------
    name
        How commands and grids call it.
    title
        How figures call its layers together; None for weights that are drawn.
    varied
        The field of which a grid may list values, under its plural; empty: none.
    editor_defaults
        Hyperparameters that editors of this host take unless they are set.
    """

    name: ClassVar[str]
    title: ClassVar[str | None] = None
    varied: ClassVar[str] = ""
    editor_defaults: ClassVar[Mapping[str, Any]] = {}

    @property
    @abstractmethod
    def weights(self) -> str:
        """Which weights, in words: what tells layers of the same shape apart."""

    @property
    @abstractmethod
    def label(self) -> str:
        """The layer and its keys in words, as experiments call them."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """(n, d), without reading the weights."""

    @abstractmethod
    def weight(self, seed: int = 0) -> Float[Tensor, "n d"]:
        """W before any edit, on the CPU, in the dtype that it is stored in.

        Parameters
        ----------
        seed
            Of weights that are drawn.

        Returns
        -------
        Tensor
            (n, d).

        Raises
        ------
        ModelError, IntegrityError
            It cannot be found, read or trusted.
        """

    @abstractmethod
    def with_edits(
        self, W: Float[Tensor, "n d"], spec: StreamSpec, folder: Path, report: Report
    ) -> tuple[LayerMemory, Edits]:
        """The layer with what it is to preserve, and its edits.

        Parameters
        ----------
        W
            Its weights, on the device and in the dtype of `spec`.
        spec
            Which edits.
        folder
            Where what a model was asked is kept.
        report
            Told what is being done.

        Returns
        -------
        memory, edits
            On the device and in the dtype of W.
        """

    def extra_memory(self, spec: StreamSpec) -> dict[str, int]:
        """Bytes that it needs beside weights, keys, values and what an editor keeps, by what for."""
        return {}

    def record(self) -> Row:
        """What it is, as plain values: "model", its name, and its fields."""
        plain = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
        return {"model": self.name} | plain

    def __str__(self) -> str:
        """As in lists of tasks."""
        varied = f" {self.varied} {getattr(self, self.varied)}" if self.varied else ""
        return f"{self.name}{varied}, {getattr(self, 'source', '')} keys"

    def make(self, spec: StreamSpec, folder: Path, report: Report = quiet) -> tuple[LayerMemory, Edits]:
        """The layer and the edits that are asked of it.

        Parameters
        ----------
        spec
            Which edits.
        folder
            Where what a model was asked is kept.
        report
            Told what is being done. Default: nobody is.

        Returns
        -------
        memory, edits
            On the device and in the dtype asked for.

        Raises
        ------
        RangeError
            A name that is not known, or a source that the host does not have.
        ModelError, IntegrityError, StoreError
            A model or file that cannot be found, read or trusted, or a folder that cannot be written.
        """
        W = self.weight(spec.seed).to(spec.device, spec.scalars)
        memory, edits = self.with_edits(W, spec, folder, report)
        # Layers of a model have the same shape, and often the same keys: a run says which one it was.
        return memory, edits.of({"model": self.name, "weights": self.weights})
