"""What a run is called by: everything that its numbers depend on, the code that computes them included."""

from __future__ import annotations

import hashlib

import torch

from sphere_theory.arrays import as_matrix
from sphere_theory.code import code_hash
from sphere_theory.editing.editor import Editor, types_of
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.hosts.base import Edits
from sphere_theory.streams.measures import Measures, Row
from sphere_theory.streams.position import unedited

# The module that computes a run, and with all that it imports stands for the code of one.
_COMPUTES = "sphere_theory.streams.runner"


def run_config(
    memory: LayerMemory,
    editor: Editor,
    stream: Edits,
    measures: Measures,
    *,
    batch: int = 100,
    keep_updates: bool = False,
) -> Row:
    """What the result of a run depends on: `run_id` of it is the run's name.

    Parameters
    ----------
    memory, editor, stream, measures, batch, keep_updates
        As for `run_stream`.

    Returns
    -------
    dict
        Plain values.

    Raises
    ------
    ShapeError, DTypeError, RangeError
        As for `run_stream`.
    """
    memory = unedited(memory)
    stream = stream.fitted(memory.W)
    return {
        "editor": editor.record(),
        "stream": dict(stream.record) | {"sha256": stream.digest},
        "layer": _layer_digest(memory),
        "shape": list(memory.W.shape),
        "measures": measures.record(),
        "batch": batch,
        "dtype": str(memory.W.dtype).removeprefix("torch."),
        "device": memory.W.device.type,
        "keep_updates": keep_updates,
        "code": code_hash(_COMPUTES, *types_of(editor), type(stream)),
    }


def _layer_digest(memory: LayerMemory) -> str:
    """SHA-256 of the weights and of what they are to preserve."""
    found = hashlib.sha256()
    for matrix in (memory.weight, memory.second_moment):
        tensor = torch.zeros((1, 1)) if matrix is None else as_matrix(matrix, "memory")
        found.update(repr((tuple(tensor.shape), str(tensor.dtype))).encode())
        for block in tensor.split(1024):
            found.update(block.contiguous().cpu().numpy())
    return found.hexdigest()
