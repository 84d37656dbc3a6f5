"""One tensor out of safetensors, a hub id or a state dict; orientation explicit.

A checkpoint is opened by its header: names, shapes and dtypes cost no data. A matrix is then read
alone, out of the one shard that holds it. Nothing in a checkpoint is trusted: its index may not
point outside its folder, its pickles may hold tensors and nothing else, its code never runs.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import warnings
import zipfile
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sphere_theory.arrays import Array, as_choice, as_matrix, as_real_tensor
from sphere_theory.errors import DTypeError, ModelError, ShapeError, UnknownTensorError
from sphere_theory.models.embedded import minilm_folder
from sphere_theory.models.hub import HubRepository, first_line

Model: TypeAlias = str | os.PathLike[str] | Mapping[str, Array]

LAYOUTS = ("auto", "linear", "conv1d")
# transformers' families that store these four projections as Conv1D, the transpose of Linear. Others
# (GPT-BigCode, Qwen, nanoGPT) give the same names to Linear, and Jais to a Conv1D of its own.
CONV1D_FAMILIES = ("gpt2", "openai-gpt", "imagegpt", "decision_transformer")
SHARED_NAME = re.compile(r"(?:^|\.)(?:c_attn|c_proj|c_fc|q_attn)(?:\.base_layer)?\.weight$")
# Both have more outputs than inputs, so their longer side is the output's: for c_attn by
# construction (queries beside keys and values), for c_fc by custom only, so it is asked last.
TELLING_NAME = re.compile(r"(?:^|\.)(c_attn|c_fc)(?:\.base_layer)?\.weight$")

FLOAT8 = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
FLOATS = ("float64", "float32", "float16", "bfloat16", *FLOAT8)
# safetensors' codes in torch's words; a code that is not here is shown as it is.
DTYPE_CODES = (
    *(("F64", "float64"), ("F32", "float32"), ("F16", "float16"), ("BF16", "bfloat16")),
    *(("F8_E4M3", "float8_e4m3fn"), ("F8_E5M2", "float8_e5m2"), ("F8_E8M0", "float8_e8m0fnu")),
    *(("F8_E4M3FNUZ", "float8_e4m3fnuz"), ("F8_E5M2FNUZ", "float8_e5m2fnuz")),
    *(("I64", "int64"), ("I32", "int32"), ("I16", "int16"), ("I8", "int8"), ("BOOL", "bool")),
    *(("U64", "uint64"), ("U32", "uint32"), ("U16", "uint16"), ("U8", "uint8"), ("C64", "complex64")),
)

STANDARD_FILES = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
PICKLES = (".bin", ".pt", ".pth")
# A bare file name: no folder, no drive, no leading dot, so that it cannot lead out of its index's folder.
SHARD_NAME = re.compile(r"[\w-][\w.-]*\.(?:safetensors|bin|pt|pth)")
HUB_ID = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)?")


def load_layer(model: Model, tensor_name: str, *, layout: str = "auto") -> Tensor:
    """Return one weight matrix of a model, neurons in rows.

    Parameters
    ----------
    model
        "minilm", a folder, a .safetensors, .bin, .pt or .pth file, a hub id such as "org/name", or a
        state dict (a mapping of names to torch tensors or numpy arrays).
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
    if isinstance(model, Mapping):
        return Checkpoint("the state dict", _StateDict("the state dict", model), None, layout)
    if not isinstance(model, str | os.PathLike):
        expected = "'minilm', a folder, a file, a hub id, or a mapping of names to tensors"
        got = f"{type(model).__module__}.{type(model).__qualname__}"
        raise ModelError(argument="model", expected=expected, got=got)
    path = minilm_folder() if model == "minilm" else Path(model)
    if os.path.isfile(path):
        return Checkpoint(str(path), _open_file(path), _Folder(path.parent), layout)
    place = _Folder(path) if os.path.isdir(path) else _hub_repository(model)
    return Checkpoint(str(place), _open_place(place), place, layout)


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

    def __init__(self, source: str, tensors: _Tensors, place: _Place | None, layout: str) -> None:
        self.source = source
        self.names = tuple(sorted(tensors.names, key=_natural))
        self._tensors = tensors
        self._place = place
        self._layout = layout

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
        return tuple(name for name in named if len(self.shape(name)) == 2 and self.dtype(name) in FLOATS)

    def matrix(self, name: str) -> Tensor:
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
        info = self._info(name)
        argument = f"tensor_name={name!r}"
        self._require_plain_floats(name, info.dtype, argument)
        if len(info.shape) != 2:
            raise ShapeError(argument, "a matrix (2 dimensions)", f"shape {info.shape}")
        turned = self._is_conv1d(name)
        stored = self._tensors.read(name)
        W = as_matrix(stored.float() if info.dtype in FLOAT8 else stored, argument)
        return W.T.contiguous() if turned else W

    def _info(self, name: str) -> TensorInfo:
        if name in self._tensors.names:
            return self._tensors.info(name)
        nearest = difflib.get_close_matches(str(name), self.names, n=5)
        offer = f" (nearest: {', '.join(map(repr, nearest))})" if nearest else ""
        expected = f"the exact name of one of the {len(self.names)} tensors of {self.source}{offer}"
        raise UnknownTensorError(argument="tensor_name", expected=expected, got=repr(name))

    def _require_plain_floats(self, name: str, dtype: str, argument: str) -> None:
        expected = "plain floating-point numbers of at most 64 bits"
        if dtype not in FLOATS:
            raise DTypeError(argument, expected, f"dtype {dtype}")
        # float8 is rarely the weight itself: block-wise scales lie beside it, under its own name extended.
        scales = [other for other in self.names if other.startswith(name) and "scale" in other[len(name) :]]
        if dtype in FLOAT8 and scales:
            raise DTypeError(argument, expected, f"dtype {dtype}, quantised: {scales[0]!r} scales it")

    def _is_conv1d(self, name: str) -> bool:
        if self._layout != "auto":
            return self._layout == "conv1d"
        if not SHARED_NAME.search(name):
            return False
        seen, family = self._seen_layout(name), self._family
        if seen == "linear" and family in CONV1D_FAMILIES:
            got = f"Conv1D from config.json (model_type {family!r}) but Linear from the shapes"
            raise ModelError(argument="layout", expected=f"one layout to hold for {name!r}", got=got)
        if seen is None and family is None:
            expected = f"'linear' or 'conv1d' for {name!r}, a name which Conv1D and Linear layers share"
            got = "'auto' without a model_type in config.json and without a c_attn or c_fc that is not square"
            raise ModelError(argument="layout", expected=expected, got=got)
        return seen == "conv1d" or (seen is None and family in CONV1D_FAMILIES)

    def _seen_layout(self, name: str) -> str | None:
        def distance(other: str) -> tuple[bool, int]:
            return "c_fc" in other.split("."), -len(os.path.commonprefix([name, other]))

        # Neighbours in name share a shard, as a rule, so that a hub repository need not send another.
        for other in sorted(filter(TELLING_NAME.search, self.names), key=distance):
            shape = self._tensors.info(other).shape
            if len(shape) == 2 and shape[0] != shape[1]:
                return "conv1d" if shape[0] < shape[1] else "linear"
        return None

    @cached_property
    def _family(self) -> str | None:
        path = self._place.file("config.json") if self._place else None
        family = _json_object(path).get("model_type") if path else None
        return family if isinstance(family, str) else None


def _natural(name: str) -> str:
    return re.sub(r"[0-9]+", lambda digits: digits[0].zfill(9), name)


class TensorInfo(NamedTuple):
    """What a header says of one tensor.

    Attributes
    ----------
    shape : tuple of int
        As stored.
    dtype : str
        In torch's words, as in "bfloat16".
    """

    shape: tuple[int, ...]
    dtype: str


class _Tensors(Protocol):
    """Named tensors that can be looked at without reading them."""

    names: Collection[str]

    def info(self, name: str) -> TensorInfo: ...

    def read(self, name: str) -> Tensor: ...


class _StateDict:
    """Tensors that are in memory already, or mapped into it."""

    def __init__(self, source: str, tensors: Mapping[str, Array]) -> None:
        for name, value in tensors.items():
            if not isinstance(name, str) or not isinstance(value, Tensor | np.ndarray):
                got = f"{name!r} of {type(value).__module__}.{type(value).__qualname__}"
                raise ModelError(argument="model", expected=f"names and tensors only in {source}", got=got)
        self.names = tensors.keys()
        self._tensors = tensors

    def info(self, name: str) -> TensorInfo:
        tensor = self._tensors[name]
        return TensorInfo(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))

    def read(self, name: str) -> Tensor:
        tensor = self._tensors[name]
        if isinstance(tensor, np.ndarray):
            return as_real_tensor(tensor, f"tensor_name={name!r}")
        if tensor.is_meta:
            expected = f"numbers in {name!r}"
            raise ModelError(argument="model", expected=expected, got="a tensor on the meta device")
        return tensor.detach()


class _Safetensors:
    """One safetensors file; its header is read once, its data tensor by tensor."""

    def __init__(self, path: Path) -> None:
        self._path = path
        words = dict(DTYPE_CODES)
        with self._opened() as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            self._infos = {
                name: TensorInfo(tuple(part.get_shape()), words.get(part.get_dtype(), part.get_dtype()))
                for name, part in slices.items()
            }
        self.names = self._infos.keys()

    @contextmanager
    def _opened(self) -> Generator[safe_open]:
        try:
            with safe_open(self._path, framework="pt") as file:
                yield file
        except (SafetensorError, OSError) as error:
            got = f"{self._path}: {first_line(error)}"
            raise ModelError(argument="model", expected="a whole safetensors file", got=got) from error

    def info(self, name: str) -> TensorInfo:
        return self._infos[name]

    def read(self, name: str) -> Tensor:
        with self._opened() as file:
            return file.get_tensor(name)


class _Shards:
    """Tensors spread over files, of which only those are opened that are asked about."""

    def __init__(self, place: _Place, index: Path) -> None:
        self._place = place
        self._index = index
        self._files = _weight_map(index)
        self._opened: dict[str, _Tensors] = {}
        self.names = self._files.keys()

    def info(self, name: str) -> TensorInfo:
        return self._shard(name).info(name)

    def read(self, name: str) -> Tensor:
        return self._shard(name).read(name)

    def _shard(self, name: str) -> _Tensors:
        file = self._files[name]
        if file not in self._opened:
            path = self._place.file(file)
            if path is None:
                expected = f"{file}, which {self._index.name} names for {name!r}"
                got = f"no such file in {self._place}{_because(self._place)}"
                raise ModelError(argument="model", expected=expected, got=got)
            self._opened[file] = _open_file(path)
        shard = self._opened[file]
        if name not in shard.names:
            expected = f"{name!r} in {file}, where {self._index.name} puts it"
            raise ModelError(argument="model", expected=expected, got=f"{len(shard.names)} other tensors")
        return shard


def _weight_map(index: Path) -> dict[str, str]:
    files = _json_object(index).get("weight_map")
    if not isinstance(files, dict) or not files:
        expected = f"a weight_map of names to files in {index}"
        raise ModelError(argument="model", expected=expected, got=f"{type(files).__name__} {files!r:.60}")
    for name, file in files.items():
        if not isinstance(file, str) or not SHARD_NAME.fullmatch(file):
            expected = f"bare names of weight files in {index}"
            raise ModelError(argument="model", expected=expected, got=f"{file!r} for {name!r}")
    return files


def _json_object(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        got = f"{path}: {first_line(error)}"
        raise ModelError(argument="model", expected="a readable JSON file", got=got) from error
    if not isinstance(value, dict):
        expected = f"a JSON object in {path}"
        raise ModelError(argument="model", expected=expected, got=type(value).__name__)
    return value


class _Place(Protocol):
    """Where files lie, and why they could not be asked for, if so."""

    trouble: str

    def file(self, name: str) -> Path | None: ...


class _Folder:
    """The files of one folder."""

    trouble = ""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"folder {str(self.path)!r}"

    def file(self, name: str) -> Path | None:
        path = self.path / name
        return path if path.is_file() else None


def _hub_repository(model: object) -> HubRepository:
    weight_file = str(model).endswith((".safetensors", *PICKLES))
    if isinstance(model, str) and HUB_ID.fullmatch(model) and not weight_file:
        return HubRepository(model)
    expected = "'minilm', an existing folder or file, or a hub id such as 'org/name'"
    raise ModelError(argument="model", expected=expected, got=repr(str(model)))


def _because(place: _Place) -> str:
    return f" ({place.trouble})" if place.trouble else ""


def _open_place(place: _Place) -> _Tensors:
    for name in STANDARD_FILES:
        path = place.file(name)
        if path is not None:
            return _Shards(place, path) if name.endswith(".json") else _open_file(path)
    loose = sorted(place.path.glob("*.safetensors")) if isinstance(place, _Folder) else []
    if len(loose) == 1:
        return _open_file(loose[0])
    several = f"{len(loose)} .safetensors files and no index; pass one of them"
    expected = f"{', '.join(STANDARD_FILES[:-1])} or {STANDARD_FILES[-1]} in {place}"
    got = several if loose else f"none of them{_because(place)}"
    raise ModelError(argument="model", expected=expected, got=got)


def _open_file(path: Path) -> _Tensors:
    if path.suffix == ".safetensors":
        return _Safetensors(path)
    if path.suffix in PICKLES:
        return _StateDict(str(path), _unpickled(path))
    expected = "a .safetensors, .bin, .pt or .pth file"
    raise ModelError(argument="model", expected=expected, got=repr(str(path)))


def _unpickled(path: Path) -> Mapping[str, Tensor]:
    try:
        with warnings.catch_warnings():
            # torch warns of old and foreign pickles; what matters is whether tensors come out.
            warnings.simplefilter("ignore")
            # Only torch's zip format can be mapped instead of read.
            mapped = zipfile.is_zipfile(path)
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:
        # An unpickler that is fed foreign bytes raises nearly anything.
        asked = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it asks for {asked[1]}, which is not loaded" if asked else first_line(error)
        expected = "a pickle of tensors and nothing else"
        raise ModelError(argument="model", expected=expected, got=f"{path}: {reason}") from error
    return _state_dict_in(loaded, path)


def _state_dict_in(loaded: object, path: Path) -> Mapping[str, Tensor]:
    candidates = [loaded]
    if isinstance(loaded, Mapping):
        candidates += [loaded.get("state_dict"), loaded.get("model")]
    plain = [candidate for candidate in candidates if _is_state_dict(candidate)]
    if len(plain) == 1:
        return plain[0]
    expected = f"one dict of names to tensors in {path}, bare or under 'state_dict' or 'model'"
    got = "two of them" if plain else f"{type(loaded).__name__} {_keys(loaded)}".strip()
    raise ModelError(argument="model", expected=expected, got=got)


def _is_state_dict(value: object) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items())


def _keys(value: object) -> str:
    return f"with keys {', '.join(map(repr, list(value)[:5]))}" if isinstance(value, Mapping) else ""
