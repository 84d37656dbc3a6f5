"""How much memory a run will need, said before it starts, and refused if it is not there."""

from __future__ import annotations

import torch

from sphere_theory.editing.editor import Editor
from sphere_theory.editing.finetune import FineTune
from sphere_theory.errors import RangeError
from sphere_theory.hosts.synthetic import PRESERVED

MemoryPlan = dict[str, int]

# d×d matrices in float64 that a solve holds at its peak: C0, old and new inverse, old and new past keys, and
# one to factorise.
_SQUARES = 6


def memory_plan(
    shape: tuple[int, int], editor: Editor, *, edits: int, batch: int, dtype: torch.dtype = torch.float64
) -> MemoryPlan:
    """Bytes that a run needs at its peak, by what for, before anything of it is made.

    Parameters
    ----------
    shape
        (n, d) of the weights.
    editor
        How they are edited.
    edits
        Length of the stream.
    batch
        Edits a batch.
    dtype
        Of the weights.

    Returns
    -------
    dict of str to int
        Bytes.
    """
    n, d = shape
    size = torch.finfo(dtype).bits // 8
    plan = {
        "weights: W0, before, after, the tracker's": 4 * n * d * size,
        "Gram matrix G, and its spectrum": n * n * (size + 3 * 8),
        "update, dense where it is audited": n * d * 8 + (n + d) * batch * size,
        "keys, as drawn and in order, and values": (edits + PRESERVED) * (2 * d * 4 + n * size),
    }
    if not isinstance(editor, FineTune):
        plan[f"second moment, inverses and past keys of {editor.name}, float64"] = _SQUARES * d * d * 8
    return plan


def free_memory(device: str | torch.device) -> int:
    """Bytes that are free on a device.

    Parameters
    ----------
    device
        Which.

    Returns
    -------
    int
        Bytes.
    """
    place = torch.device(device)
    if place.type == "cuda":
        return int(torch.cuda.mem_get_info(place)[0])
    import psutil

    return int(psutil.virtual_memory().available)


def require_memory(plan: MemoryPlan, device: str | torch.device) -> None:
    """Refuse a run that would not fit.

    Parameters
    ----------
    plan
        Bytes by what for.
    device
        Where it is to run.

    Raises
    ------
    RangeError
        It needs more than is free.
    """
    needed, free = sum(plan.values()), free_memory(device)
    if needed > free:
        got = f"{in_words(needed)} needed, most of it for {max(plan, key=lambda name: plan[name])}"
        raise RangeError("edits, shape", f"a run within the {in_words(free)} free on {device}", got)


def in_words(size: int) -> str:
    """A number of bytes in words.

    Parameters
    ----------
    size
        Bytes.

    Returns
    -------
    str
        Such as "1.3 GiB", or in MiB below 1 GiB.
    """
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
