"""Where a run is: what the next batch depends on, as the tensors of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sphere_theory.editing.problem import LayerMemory
from sphere_theory.errors import RangeError
from sphere_theory.gram import GramTracker

# Names of tensors in a checkpoint: the run's own, the tracker's, and the editor's state.
WEIGHT, _RUNNING, _TRACKER, _STATE = "weight", "running", "tracker.", "state."


def unedited(memory: LayerMemory) -> LayerMemory:
    """The layer that a run begins with, by rows, as checkpoints will hold it.

    Parameters
    ----------
    memory
        A layer before any edit.

    Returns
    -------
    LayerMemory
        Its weights contiguous, and pretrained weights of their own.

    Raises
    ------
    RangeError
        The layer was edited, or holds an editor's state.
    """
    if memory.edits or memory.state or not torch.equal(memory.W, memory.W0):
        raise RangeError("memory", "a layer before any edit", f"one with {memory.edits} edits")
    W = memory.W.contiguous()
    return replace(memory, weight=W, pretrained=W)


@dataclass(frozen=True, eq=False)
class Position:
    """Where a run is: all that the next batch depends on.

    Attributes
    ----------
    memory
        The layer, with what its editor remembers.
    tracker
        Its Gram matrix.
    path_bound
        Σ K*_t‖ΔW_t‖_F of the batches done.
    batches
        Their number.
    """

    memory: LayerMemory
    tracker: GramTracker[Tensor]
    path_bound: float = 0.0
    batches: int = 0

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint of this position holds.

        Returns
        -------
        dict
            Tensors by name, those of the tracker and of the editor's state under prefixes of their own.
        """
        # The tracker's weights are the layer's.
        state = self.tracker.state()
        tracked = {_TRACKER + name: tensor for name, tensor in state.items() if name != WEIGHT}
        remembered = {_STATE + name: tensor for name, tensor in self.memory.state.items()}
        running = torch.tensor([self.path_bound, self.memory.edits], dtype=torch.float64)
        return {WEIGHT: self.memory.W, _RUNNING: running} | tracked | remembered

    def final_tensors(self) -> dict[str, Tensor]:
        """What the checkpoint of a complete run holds: no batch comes after it.

        Returns
        -------
        dict
            The weights, which are all that anybody will ask for.
        """
        return {WEIGHT: self.memory.W}

    def restored(self, batches: int, tensors: Mapping[str, Tensor]) -> Position:
        """The position that a checkpoint holds, of the run whose beginning this is.

        Parameters
        ----------
        batches
            Number of batches done.
        tensors
            As `tensors` gave them.

        Returns
        -------
        Position
            On the device of the layer. The tracker of this position moves on with it.
        """
        W = self.memory.W
        state = {
            name.removeprefix(_STATE): tensor.to(W.device)
            for name, tensor in tensors.items()
            if name.startswith(_STATE)
        }
        path_bound, edits = tensors[_RUNNING].tolist()
        tracked = {
            name.removeprefix(_TRACKER): tensor
            for name, tensor in tensors.items()
            if name.startswith(_TRACKER)
        }
        self.tracker.restore({WEIGHT: tensors[WEIGHT], **tracked})
        memory = replace(self.memory, weight=tensors[WEIGHT].to(W.device), state=state, edits=int(edits))
        return Position(memory, self.tracker, path_bound, batches)


def is_final(tensors: Mapping[str, Tensor]) -> bool:
    """Whether a checkpoint is that of a complete run.

    Parameters
    ----------
    tensors
        By name.

    Returns
    -------
    bool
        False: a position can be restored from it.
    """
    return _RUNNING not in tensors
