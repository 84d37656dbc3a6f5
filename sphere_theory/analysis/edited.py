"""A layer and a stream of edits, named by plain values as experiments need it, ready to edit and measure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from sphere_theory.analysis.experiment import Experiment
from sphere_theory.analysis.runs import METRICS
from sphere_theory.editing.problem import Editor, LayerMemory
from sphere_theory.energy import energy_change
from sphere_theory.streams.job import HostChoice, make_editor, make_host
from sphere_theory.streams.measures import Gauge, Measures
from sphere_theory.streams.sources import EditStream

Row = dict[str, Any]


@dataclass(frozen=True)
class Edited(Experiment):
    """A layer and the edits that it gets.

    Parameters
    ----------
    model
        "minilm", on recorded keys, or "synthetic", on Gaussian ones.
    layer
        Of MiniLM.
    shape
        (n, d) of "synthetic".
    spectrum
        Of the synthetic keys.
    editor, settings
        As `make_editor` takes them.
    edits, batch
        Number of edits, and in what batches.
    seed
        Of the stream, the synthetic layer, and everything drawn.
    """

    model: str = "minilm"
    layer: int = 3
    shape: tuple[int, int] = (256, 1024)
    spectrum: str = "power"
    editor: str = "memit-seq"
    settings: tuple[str, ...] = ()
    edits: int = 300
    batch: int = 100
    seed: int = 0

    @property
    def host(self) -> str:
        """How figures call it."""
        if self.model == "minilm":
            return f"MiniLM layer {self.layer}"
        return f"synthetic {self.shape[0]}×{self.shape[1]}, {self.spectrum}"

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
        """
        source = "recorded" if self.model == "minilm" else "gaussian"
        choice = HostChoice(
            self.model,
            layer=self.layer,
            shape=self.shape,
            source=source,
            spectrum=self.spectrum,
            edits=self.edits,
            seed=self.seed,
        )
        memory, stream = make_host(choice, folder, lambda *told: None)
        stream = stream.to(memory.W.device, memory.W.dtype)
        editor = make_editor(self.editor, model=self.model, settings=self.settings)
        gauge = Gauge.prepare(Measures(audits=False, certificate=False), stream, memory)
        return Start(memory, stream, editor, gauge, self.batch)


@dataclass(frozen=True, eq=False)
class Start:
    """A layer before any edit, with all that its edits need."""

    memory: LayerMemory
    stream: EditStream
    editor: Editor
    gauge: Gauge
    batch: int

    def edit(self, memory: LayerMemory) -> LayerMemory:
        """The layer after its next batch."""
        start = memory.edits
        stop = min(start + self.batch, len(self.stream))
        return memory.after(self.editor.solve(memory, self.stream.batch(start, stop)), stop - start)

    def metrics(self, memory: LayerMemory) -> Row:
        """Efficacy, generalisation and specificity of a layer."""
        found = self.gauge.retrieval(max(0, memory.edits - self.batch), memory)
        return {name: found[name] for name in METRICS}

    def shift(self, before: Float[Tensor, "n d"], D: Float[Tensor, "n d"]) -> float:
        """ΔHE of a change, over the energy of uniform directions."""
        return energy_change(before, D).change / self.gauge.uniform
