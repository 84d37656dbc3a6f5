"""Named tensors as they lie in files: safetensors, shards with an index, pickles, state dicts.

Each kind answers the same three questions: which names, what shape and dtype, which numbers. Only
the third reads data, and only of the tensor, or the part of it, that is asked for.
"""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol, TypeGuard, runtime_checkable

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sphere_theory.arrays import Array, as_real_tensor
from sphere_theory.errors import ModelError, first_line

PICKLES = (".bin", ".pt", ".pth")
_STANDARD_FILES = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
# A bare file name: no folder, no drive, no leading dot, so that it cannot lead out of its index's folder.
_SHARD_NAME = re.compile(r"[\w-][\w.-]*\.(?:safetensors|bin|pt|pth)")

# safetensors' codes in torch's words; a code that is not here is shown as it is.
_DTYPE_CODES = (
    *(("F64", "float64"), ("F32", "float32"), ("F16", "float16"), ("BF16", "bfloat16")),
    *(("F8_E4M3", "float8_e4m3fn"), ("F8_E5M2", "float8_e5m2"), ("F8_E8M0", "float8_e8m0fnu")),
    *(("F8_E4M3FNUZ", "float8_e4m3fnuz"), ("F8_E5M2FNUZ", "float8_e5m2fnuz")),
    *(("I64", "int64"), ("I32", "int32"), ("I16", "int16"), ("I8", "int8"), ("BOOL", "bool")),
    *(("U64", "uint64"), ("U32", "uint32"), ("U16", "uint16"), ("U8", "uint8"), ("C64", "complex64")),
)


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


@runtime_checkable
class Tensors(Protocol):
    """Named tensors that can be looked at without reading them."""

    @property
    def names(self) -> Collection[str]:
        """All names."""

    def info(self, name: str) -> TensorInfo:
        """Return shape and dtype of the tensor of that name, which must be one of `names`."""

    def read(self, name: str) -> Tensor:
        """Return the tensor of that name as it is stored."""

    def part(self, name: str, rows: slice, columns: slice) -> Tensor:
        """Return a part of the matrix of that name, as it is stored, without the rest of it."""


@runtime_checkable
class Place(Protocol):
    """Where files lie: a folder, or a repository on the hub."""

    @property
    def trouble(self) -> str:
        """Why a file could not be asked for, when that happened; empty otherwise."""

    def file(self, name: str) -> Path | None:
        """Return the path of the file of that name, None where there is none."""


class Folder:
    """The files of one folder.

    Parameters
    ----------
    path
        The folder.
    """

    trouble = ""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"folder {str(self.path)!r}"

    def file(self, name: str) -> Path | None:
        """Return the path of one file.

        Parameters
        ----------
        name
            The file's name.

        Returns
        -------
        Path or None
            None where there is no such file.
        """
        path = self.path / name
        return path if path.is_file() else None


class _StateDict:
    """Tensors that are in memory already, or mapped into it."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._tensors = tensors

    @property
    def names(self) -> Collection[str]:
        return self._tensors.keys()

    def info(self, name: str) -> TensorInfo:
        tensor = self._tensors[name]
        return TensorInfo(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))

    def read(self, name: str) -> Tensor:
        tensor = self._tensors[name]
        if isinstance(tensor, np.ndarray):
            return as_real_tensor(tensor, f"tensor_name={name!r}")
        if tensor.is_meta:
            expected = f"numbers in {name!r}"
            raise ModelError("model", expected, "a tensor on the meta device")
        return tensor.detach()

    def part(self, name: str, rows: slice, columns: slice) -> Tensor:
        return self.read(name)[rows, columns]


class _SafetensorsFile:
    """One safetensors file: its header is read at once, its data tensor by tensor."""

    def __init__(self, path: Path) -> None:
        self._path = path
        words = dict(_DTYPE_CODES)
        with self._opened() as file:
            slices = {name: file.get_slice(name) for name in list(file.keys())}
            self._infos = {
                name: TensorInfo(tuple(part.get_shape()), words.get(part.get_dtype(), part.get_dtype()))
                for name, part in slices.items()
            }

    @contextmanager
    def _opened(self) -> Generator[safe_open, None, None]:
        try:
            with safe_open(self._path, framework="pt") as file:
                yield file
        except (SafetensorError, OSError) as error:
            got = f"{self._path}: {first_line(error)}"
            raise ModelError("model", "a whole safetensors file", got) from error

    @property
    def names(self) -> Collection[str]:
        return self._infos.keys()

    def info(self, name: str) -> TensorInfo:
        return self._infos[name]

    def read(self, name: str) -> Tensor:
        # The file is mapped: no page is touched but the tensor's own.
        with self._opened() as file:
            return file.get_tensor(name)

    def part(self, name: str, rows: slice, columns: slice) -> Tensor:
        with self._opened() as file:
            return file.get_slice(name)[rows, columns]


class _Shards:
    """Tensors spread over files, of which only those are fetched and opened that are asked about."""

    def __init__(self, place: Place, index: Path) -> None:
        self._place = place
        self._index = index
        self._files = _weight_map(index)
        self._opened: dict[str, Tensors] = {}

    @property
    def names(self) -> Collection[str]:
        return self._files.keys()

    def info(self, name: str) -> TensorInfo:
        return self._shard(name).info(name)

    def read(self, name: str) -> Tensor:
        return self._shard(name).read(name)

    def part(self, name: str, rows: slice, columns: slice) -> Tensor:
        return self._shard(name).part(name, rows, columns)

    def _shard(self, name: str) -> Tensors:
        file = self._files[name]
        if file not in self._opened:
            path = self._place.file(file)
            if path is None:
                expected = f"{file}, which {self._index.name} names for {name!r}"
                got = f"no such file in {self._place}{_because(self._place)}"
                raise ModelError("model", expected, got)
            self._opened[file] = open_file(path)
        shard = self._opened[file]
        if name not in shard.names:
            expected = f"{name!r} in {file}, where {self._index.name} puts it"
            raise ModelError("model", expected, f"{len(shard.names)} other tensors")
        return shard


def _weight_map(index: Path) -> dict[str, str]:
    files = json_object(index).get("weight_map")
    if not isinstance(files, dict) or not files:
        expected = f"a weight_map of names to files in {index}"
        raise ModelError("model", expected, type(files).__name__)
    for name, file in files.items():
        if not isinstance(file, str) or not _SHARD_NAME.fullmatch(file):
            expected = f"bare names of weight files in {index}"
            raise ModelError("model", expected, f"{file!r} for {name!r}")
    return files


def _because(place: Place) -> str:
    return f" ({place.trouble})" if place.trouble else ""


def json_object(path: Path) -> dict[str, object]:
    """Read a JSON file that holds an object.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    dict
        The object.

    Raises
    ------
    ModelError
        Not readable, not JSON, or something else than an object.
    """
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        got = f"{path}: {first_line(error)}"
        raise ModelError("model", "a readable JSON file", got) from error
    if not isinstance(value, dict):
        expected = f"a JSON object in {path}"
        raise ModelError("model", expected, type(value).__name__)
    return value


def open_place(place: Place) -> Tensors:
    """Open the weights in a folder or repository, by the names that transformers gives them.

    Parameters
    ----------
    place
        A folder or repository. In a folder without any of `_STANDARD_FILES` the only .safetensors
        file is taken.

    Returns
    -------
    Tensors
        Its tensors.

    Raises
    ------
    ModelError
        There are none, or it is not clear which, or they cannot be read.
    """
    for name in _STANDARD_FILES:
        path = place.file(name)
        if path is not None:
            return _Shards(place, path) if name.endswith(".json") else open_file(path)
    loose = sorted(place.path.glob("*.safetensors")) if isinstance(place, Folder) else []
    if len(loose) == 1:
        return open_file(loose[0])
    several = f"{len(loose)} .safetensors files and no index; pass one of them"
    expected = f"{', '.join(_STANDARD_FILES[:-1])} or {_STANDARD_FILES[-1]} in {place}"
    got = several if loose else f"none of them{_because(place)}"
    raise ModelError("model", expected, got)


def open_file(path: Path) -> Tensors:
    """Open one file of tensors.

    Parameters
    ----------
    path
        A .safetensors, .bin, .pt or .pth file.

    Returns
    -------
    Tensors
        Its tensors. A pickle in torch's zip format is mapped, an older one is read whole.

    Raises
    ------
    ModelError
        Another kind of file, a broken one, or a pickle that asks for more than tensors.
    """
    if path.suffix == ".safetensors":
        return _SafetensorsFile(path)
    if path.suffix in PICKLES:
        return open_state_dict(_unpickled(path), str(path))
    expected = "a .safetensors, .bin, .pt or .pth file"
    raise ModelError("model", expected, repr(str(path)))


def open_state_dict(tensors: Mapping[str, Array], source: str) -> Tensors:
    """Take tensors that are in memory.

    Parameters
    ----------
    tensors
        A torch tensor or numpy array for each name.
    source
        What they are, for messages.

    Returns
    -------
    Tensors
        The same tensors; nothing is copied.

    Raises
    ------
    ModelError
        A name is no string, or a value neither tensor nor array.
    """
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, Tensor | np.ndarray):
            expected = f"names and tensors only in {source}"
            got = f"{name!r} of {type(value).__module__}.{type(value).__qualname__}"
            raise ModelError("model", expected, got)
    return _StateDict(tensors)


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
        reason = f"it asks for {asked[1]}, which is refused" if asked else first_line(error)
        expected = "a pickle of tensors and nothing else"
        raise ModelError("model", expected, f"{path}: {reason}") from error
    return _state_dict_in(loaded, path)


def _state_dict_in(loaded: object, path: Path) -> Mapping[str, Tensor]:
    wrapped = [loaded.get(key) for key in ("state_dict", "model")] if isinstance(loaded, Mapping) else []
    plain = [candidate for candidate in (loaded, *wrapped) if _is_state_dict(candidate)]
    if len(plain) == 1:
        return plain[0]
    expected = f"one dict of names to tensors in {path}, bare or under 'state_dict' or 'model'"
    keys = f" with keys {', '.join(map(repr, list(loaded)[:5]))}" if isinstance(loaded, Mapping) else ""
    got = "two of them" if plain else f"{type(loaded).__name__}{keys}"
    raise ModelError("model", expected, got)


def _is_state_dict(value: object) -> TypeGuard[Mapping[str, Tensor]]:
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items())
