"""How a checkpoint stores its matrices: as Linear, outputs first, or transposed, as Conv1D."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import takewhile

LAYOUTS = ("auto", "linear", "conv1d")
# transformers' families that store these four projections as Conv1D, the transpose of Linear. Others
# (GPT-BigCode, Qwen, nanoGPT) give the same names to Linear, and Jais to a Conv1D of its own.
CONV1D_FAMILIES = ("gpt2", "openai-gpt", "imagegpt", "decision_transformer")
SHARED_NAME = re.compile(r"(?:^|\.)(?:c_attn|c_proj|c_fc|q_attn)(?:\.base_layer)?\.weight$")
# Both have more outputs than inputs, so their longer side is the output's: for c_attn by
# construction (queries beside keys and values), for c_fc by custom only, so it is asked last.
_TELLING_NAME = re.compile(r"(?:^|\.)(c_attn|c_fc)(?:\.base_layer)?\.weight$")


def seen_layout(name: str, names: Sequence[str], shape: Callable[[str], tuple[int, ...]]) -> str | None:
    """What the shapes of a checkpoint tell of the layout of one of its matrices.

    Parameters
    ----------
    name
        Of the matrix.
    names
        Of all tensors.
    shape
        Of a tensor by its name.

    Returns
    -------
    str or None
        "linear" or "conv1d"; None where no c_attn or c_fc is there that is not square.
    """

    def distance(other: str) -> tuple[bool, int]:
        return "c_fc" in other.split("."), -_shared_parts(name, other)

    # Neighbours in name share a shard, as a rule, so that a hub repository need not send another.
    for other in sorted(filter(_TELLING_NAME.search, names), key=distance):
        sides = shape(other)
        if len(sides) == 2 and sides[0] != sides[1]:
            return "conv1d" if sides[0] < sides[1] else "linear"
    return None


def _shared_parts(name: str, other: str) -> int:
    pairs = zip(name.split("."), other.split("."), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
