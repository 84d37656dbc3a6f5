"""One tensor out of safetensors, a hub id or a state dict; orientation explicit.

A checkpoint is opened by its header: names, shapes and dtypes cost no data. A matrix is then read
alone, out of the one shard that holds it. Nothing in a checkpoint is trusted: its index may not
point outside its folder, its pickles may hold tensors and nothing else, its code never runs.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor, nn

from sphere_theory.arrays import Array, as_choice, as_matrix
from sphere_theory.errors import DTypeError, ModelError, ShapeError, UnknownTensorError
from sphere_theory.models.embedded import EMBEDDED
from sphere_theory.models.hub import HubRepository
from sphere_theory.models.layouts import CONV1D_FAMILIES, LAYOUTS, SHARED_NAME, seen_layout
from sphere_theory.models.storage import (
    PICKLES,
    Folder,
    Place,
    TensorInfo,
    Tensors,
    json_object,
    open_file,
    open_place,
    open_state_dict,
)

Model: TypeAlias = str | os.PathLike[str] | Mapping[str, Array] | nn.Module

_FLOAT8 = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
_FLOATS = ("float64", "float32", "float16", "bfloat16", *_FLOAT8)
_HUB_ID = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)?")


def load_layer(model: Model, tensor_name: str, *, layout: str = "auto") -> Float[Tensor, "n d"]:
    """Return one weight matrix of a model, neurons in rows.

    Parameters
    ----------
    model
        "minilm", a folder, a .safetensors, .bin, .pt or .pth file, a hub id such as "org/name", a state
        dict (a mapping of names to torch tensors or numpy arrays), or a torch module.
    tensor_name
        The exact name of a two-dimensional tensor in it.
    layout
        How the tensor is stored: "linear" (n, d), "conv1d" (d, n), or "auto", which turns the
        projections of GPT-2 and its relatives and leaves all else; see `Checkpoint.matrix`.

    Returns
    -------
    Tensor
        W, (n, d), acting as v = W k, on the CPU (from a state dict: where its tensor lives, and
        without a copy if it is neither widened nor turned). float32 and float64 stay; float16,
        bfloat16 and float8 are widened to float32.

    Raises
    ------
    RangeError
        `layout` is none of the three.
    ModelError
        The model cannot be found, read or trusted, or "auto" finds no evidence of the layout.
    UnknownTensorError
        No tensor of that name; the message offers the nearest.
    DTypeError
        Integers, quantised or complex numbers, or float8 that another tensor scales.
    ShapeError
        Not two-dimensional, or empty.
    NonFiniteError
        The matrix holds NaN or infinity.

    Examples
    --------
    >>> import torch
    >>> load_layer({"up.weight": torch.ones(3, 2, dtype=torch.bfloat16)}, "up.weight").dtype
    torch.float32
    """
    return open_checkpoint(model, layout).matrix(tensor_name)


def open_checkpoint(model: Model, layout: str = "auto") -> Checkpoint:
    """Open a model's weights by their names; nothing is read but headers and indices.

    Parameters
    ----------
    model
        As for `load_layer`. In a folder the first of model.safetensors, its index with shards,
        pytorch_model.bin and its index counts, else the only .safetensors file there. On the hub
        likewise; of a sharded repository only the index is fetched here, and later each shard that
        is needed.
    layout
        "linear", "conv1d" or "auto", as for `load_layer`; it applies to every matrix asked for.

    Returns
    -------
    Checkpoint
        The open model.

    Raises
    ------
    RangeError
        `layout` is none of the three.
    ModelError
        The model cannot be found, read or trusted.
    """
    as_choice(layout, "layout", LAYOUTS)
    if isinstance(model, nn.Module):
        # A module says how each of its own weights is stored.
        turned = {f"{name}.weight" for name, one in model.named_modules() if type(one).__name__ == "Conv1D"}
        tensors = open_state_dict(model.state_dict(), "the module")
        return Checkpoint("the module", tensors, None, layout, frozenset(turned))
    if isinstance(model, Mapping):
        return Checkpoint("the state dict", open_state_dict(model, "the state dict"), None, layout)
    if not isinstance(model, str | os.PathLike):
        expected = "'minilm', a folder, a file, a hub id, a mapping of names to tensors, or a module"
        got = f"{type(model).__module__}.{type(model).__qualname__}"
        raise ModelError("model", expected, got)
    path = EMBEDDED[model]() if isinstance(model, str) and model in EMBEDDED else model
    # os.path rather than Path: "" is no file here, where Path makes it the current folder.
    if os.path.isfile(path):
        return Checkpoint(str(path), open_file(Path(path)), Folder(Path(path).parent), layout)
    place = Folder(Path(path)) if os.path.isdir(path) else _hub_repository(model)
    return Checkpoint(str(place), open_place(place), place, layout)


class Checkpoint:
    """A model's tensors by name, one read at a time.

    Made by `open_checkpoint`.

    Attributes
    ----------
    source : str
        Where the tensors come from, for messages.
    names : tuple of str
        All names, layer 2 before layer 10.
    """

    def __init__(
        self,
        source: str,
        tensors: Tensors,
        place: Place | None,
        layout: str,
        turned: frozenset[str] | None = None,
    ) -> None:
        self.source = source
        self.names = tuple(sorted(tensors.names, key=_natural))
        self._tensors = tensors
        self._place = place
        self._layout = layout
        self._turned = turned

    def __repr__(self) -> str:
        return f"Checkpoint({self.source}, {len(self.names)} tensors)"

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a tensor's shape as stored, from the header alone.

        Parameters
        ----------
        name
            Its exact name.

        Returns
        -------
        tuple of int
            The lengths; `matrix` may return the transpose.

        Raises
        ------
        UnknownTensorError
            No tensor of that name.
        ModelError
            Its shard is missing or broken.
        """
        return self._info(name).shape

    def dtype(self, name: str) -> str:
        """Return a tensor's dtype as stored, from the header alone.

        Parameters
        ----------
        name
            Its exact name.

        Returns
        -------
        str
            torch's word for it, as in "bfloat16".

        Raises
        ------
        UnknownTensorError
            No tensor of that name.
        ModelError
            Its shard is missing or broken.
        """
        return self._info(name).dtype

    def matrices(self, match: str = "*") -> tuple[str, ...]:
        """Return the names of the two-dimensional floating-point tensors, from headers alone.

        Parameters
        ----------
        match
            A shell pattern that the whole name has to match; case counts.

        Returns
        -------
        tuple of str
            The names in the order of `names`. Shards with no matching name are not opened.

        Raises
        ------
        ModelError
            A shard that is needed is missing or broken.
        """
        named = (name for name in self.names if fnmatchcase(name, match))
        return tuple(name for name in named if len(self.shape(name)) == 2 and self.dtype(name) in _FLOATS)

    def matrix(self, name: str) -> Float[Tensor, "n d"]:
        """Read one matrix, neurons in rows.

        Under "auto" a tensor is taken as stored, embeddings included (a token a row), unless its
        name ends in c_attn, c_proj, c_fc or q_attn (.weight): GPT-2 stores those transposed
        (Conv1D), other families do not. The shape of a c_attn or c_fc tensor tells, the nearest
        in name first: outputs are more than inputs. Without one, config.json's model_type decides.

        Parameters
        ----------
        name
            Its exact name.

        Returns
        -------
        Tensor
            W, (n, d), contiguous if it was turned; float32, or float64 when stored so.

        Raises
        ------
        UnknownTensorError
            No tensor of that name; the message offers the nearest.
        DTypeError
            Integers, quantised or complex numbers, or float8 that another tensor scales.
        ShapeError
            Not two-dimensional, or empty.
        NonFiniteError
            The matrix holds NaN or infinity.
        ModelError
            It cannot be read, or "auto" finds no evidence or contradicting evidence of the layout.
        """
        info = self._matrix_info(name)
        turned = self._is_conv1d(name)
        W = _widened(self._tensors.read(name), info, f"tensor_name={name!r}")
        return W.T.contiguous() if turned else W

    def matrix_shape(self, name: str) -> tuple[int, int]:
        """Return (n, d) of what `matrix` would read, from headers alone.

        Parameters
        ----------
        name
            Its exact name.

        Returns
        -------
        tuple of int
            Neurons and dimensions.

        Raises
        ------
        UnknownTensorError, DTypeError, ShapeError, ModelError
            As for `matrix`.
        """
        a, b = self._matrix_info(name).shape
        return (b, a) if self._is_conv1d(name) else (a, b)

    def rows(self, name: str, start: int, stop: int) -> Float[Tensor, "b d"]:
        """Read some neurons of a matrix and no others.

        Out of a safetensors file only their own bytes are read; a pickle is opened as `open_file` does it.

        Parameters
        ----------
        name
            The matrix's exact name.
        start, stop
            Half-open interval of neurons.

        Returns
        -------
        Tensor
            W[start:stop], as `matrix` would hold it.

        Raises
        ------
        UnknownTensorError, DTypeError, ShapeError, NonFiniteError, ModelError
            As for `matrix`; indices in messages count from `start`.
        """
        info = self._matrix_info(name)
        turned = self._is_conv1d(name)
        block, whole = slice(start, stop), slice(None)
        stored = self._tensors.part(name, *((whole, block) if turned else (block, whole)))
        W = _widened(stored, info, f"{name}[{start}:{stop}]")
        return W.T.contiguous() if turned else W

    def _matrix_info(self, name: str) -> TensorInfo:
        """What the header says of a tensor that has to be a matrix of plain numbers."""
        info = self._info(name)
        argument = f"tensor_name={name!r}"
        self._require_plain_floats(name, info.dtype, argument)
        if len(info.shape) != 2:
            raise ShapeError(argument, "a matrix (2 dimensions)", f"shape {info.shape}")
        return info

    def _info(self, name: str) -> TensorInfo:
        if isinstance(name, str) and name in self._tensors.names:
            return self._tensors.info(name)
        nearest = difflib.get_close_matches(str(name), self.names, n=5)
        offer = f" (nearest: {', '.join(map(repr, nearest))})" if nearest else ""
        expected = f"the exact name of one of the {len(self.names)} tensors of {self.source}{offer}"
        raise UnknownTensorError("tensor_name", expected, repr(name))

    def _require_plain_floats(self, name: str, dtype: str, argument: str) -> None:
        expected = "plain floating-point numbers of at most 64 bits"
        if dtype not in _FLOATS:
            raise DTypeError(argument, expected, f"dtype {dtype}")
        if dtype in _FLOAT8:
            # Often not the weight itself: block-wise scales lie beside it, under its own name extended.
            scales = [
                other for other in self.names if other.startswith(name) and "scale" in other[len(name) :]
            ]
            if scales:
                raise DTypeError(argument, expected, f"dtype {dtype}, quantised: {scales[0]!r} scales it")

    def _is_conv1d(self, name: str) -> bool:
        if self._layout != "auto":
            return self._layout == "conv1d"
        if self._turned is not None:
            return name in self._turned
        if not SHARED_NAME.search(name):
            return False
        seen, family = seen_layout(name, self.names, self.shape), self._family
        if seen == "linear" and family in CONV1D_FAMILIES:
            got = f"Conv1D from config.json (model_type {family!r}) but Linear from the shapes"
            raise ModelError("layout", f"one layout to hold for {name!r}", got)
        if seen is None and family is None:
            expected = f"'linear' or 'conv1d' for {name!r}, a name which Conv1D and Linear layers share"
            got = "'auto' without a model_type in config.json and without a c_attn or c_fc that is not square"
            raise ModelError("layout", expected, got)
        return seen == "conv1d" or (seen is None and family in CONV1D_FAMILIES)

    @cached_property
    def _family(self) -> str | None:
        path = self._place.file("config.json") if self._place else None
        family = json_object(path).get("model_type") if path else None
        return family if isinstance(family, str) else None


def _widened(stored: Tensor, info: TensorInfo, argument: str) -> Float[Tensor, "a b"]:
    return as_matrix(stored.float() if info.dtype in _FLOAT8 else stored, argument)


def _natural(name: str) -> str:
    return re.sub(r"[0-9]+", lambda digits: digits[0].zfill(9), name)


def _hub_repository(model: object) -> HubRepository:
    weight_file = str(model).endswith((".safetensors", *PICKLES))
    if isinstance(model, str) and _HUB_ID.fullmatch(model) and not weight_file:
        return HubRepository(model)
    expected = "'minilm', an existing folder or file, or a hub id such as 'org/name'"
    raise ModelError("model", expected, repr(str(model)))
