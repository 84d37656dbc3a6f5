"""A layer and a stream of edits, named by plain values as experiments need it, ready to edit and measure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_count
from sphere_theory.code import code_hash
from sphere_theory.editing.editor import Editor, types_of
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.energy import uniform_energy
from sphere_theory.errors import InputError, RangeError
from sphere_theory.experiments.base import OnHost, Row
from sphere_theory.gram import GramTracker
from sphere_theory.hosts.base import METRICS
from sphere_theory.hosts.edits import EditStream
from sphere_theory.hosts.retrieval import Retrieval
from sphere_theory.motion import energy_change
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.specs import make_editor


@dataclass(frozen=True)
class EditingExperiment(OnHost):
    """An experiment on a layer that is edited.

    Parameters
    ----------
    host, seed
        As in `OnHost`.
    editor, settings
        As in `make_editor`; settings as ``name=value``.
    sphere
        η and α; empty: no projection.
    edits, batch
        Number of edits, and in what batches.

    Raises
    ------
    RangeError
        A number outside its range, or a name that is not known.
    """

    editor: str = "memit-seq"
    settings: tuple[str, ...] = ()
    sphere: tuple[float, ...] = ()
    edits: int = 300
    batch: int = 100

    def __post_init__(self) -> None:
        as_count(self.edits, "edits", low=1)
        as_count(self.batch, "batch", low=1)
        as_count(self.seed, "seed", low=0)
        if len(self.sphere) not in (0, 2):
            raise RangeError("sphere", "η and α, or nothing", str(self.sphere))
        self.made_editor()

    def code(self) -> str:
        """A hash of the code that its rows depend on, the host's and the editor's with it."""
        return code_hash(type(self), type(self.host), *types_of(self.made_editor()))

    def made_editor(self) -> Editor:
        """The editor, ready to edit."""
        sphere = (self.sphere[0], self.sphere[1]) if self.sphere else None
        defaults = self.host.editor_defaults
        return make_editor(self.editor, defaults=defaults, settings=self.settings, sphere=sphere)

    def start(self, folder: Path) -> Start:
        """The layer before any edit, its stream, and what both are measured with.

        Parameters
        ----------
        folder
            Where recorded keys are kept.

        Returns
        -------
        Start
            In float64.

        Raises
        ------
        InputError
            As for `Host.make`, or a host whose edits are not keys with values.
        """
        memory, stream = self.made(folder, self.edits)
        if not isinstance(stream, EditStream):
            raise InputError("host", "a layer whose edits are keys with values", str(self.host))
        # Long streams store keys in a narrower dtype; here they are multiplied by weights and turned.
        stream = replace(stream, keys=stream.keys.to(memory.W), paraphrases=stream.paraphrases.to(memory.W))
        measures = Measures()
        judge = stream.judge(
            memory.W0,
            candidates=measures.candidates,
            preserved_candidates=measures.preserved_candidates,
            seed=measures.seed,
        )
        level, uniform = GramTracker(memory.W0).energy(), uniform_energy(*memory.W0.shape)
        return Start(memory, stream, self.made_editor(), judge, level, uniform, self.batch)


@dataclass(frozen=True, eq=False)
class Start:
    """A layer before any edit, with all that its edits need.

    Attributes
    ----------
    memory, stream, editor
        The layer, what is asked of it, and how it is edited.
    judge
        How well it does what was asked.
    energy, uniform
        HE before any edit, and that of uniform directions.
    batch
        Edits a batch.
    """

    memory: LayerMemory
    stream: EditStream
    editor: Editor
    judge: Retrieval
    energy: float
    uniform: float
    batch: int

    def edit(self, memory: LayerMemory) -> LayerMemory:
        """The layer after its next batch."""
        start = memory.edits
        stop = min(start + self.batch, len(self.stream))
        return memory.after(self.editor.solve(memory, self.stream.batch(start, stop)), stop - start)

    def edited(self) -> LayerMemory:
        """The layer after the whole stream."""
        memory = self.memory
        while memory.edits < len(self.stream):
            memory = self.edit(memory)
        return memory

    def metrics(self, memory: LayerMemory) -> Row:
        """Efficacy, generalisation and specificity of a layer."""
        found = self.judge.everything(max(0, memory.edits - self.batch), memory)
        return {name: found[name] for name in METRICS}

    def shift(self, before: Float[Tensor, "n d"], D: Float[Tensor, "n d"]) -> float:
        """ΔHE of a change, over the energy of uniform directions."""
        return energy_change(before, D).change / self.uniform
