"""Grids of runs: a TOML file of editors, η, α, seeds, layers and orders, and the runs that it stands for."""

from __future__ import annotations

import difflib
import itertools
import tomllib
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from sphere_theory.arrays import as_choice
from sphere_theory.editing.control import KINDS
from sphere_theory.editing.editor import Editor
from sphere_theory.errors import InputError, RangeError
from sphere_theory.hosts.base import DTYPES, Host, StreamSpec
from sphere_theory.hosts.edits import ORDERS
from sphere_theory.hosts.keys import SPECTRA
from sphere_theory.hosts.registry import host_type, make_host
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.specs import Task, make_editor

EXAMPLE = """\
model = "minilm"                # or "synthetic", or a folder, file or hub id with tensors = [...]
editors = ["memit-seq", "alphaedit", { name = "memit", ridge = 50.0 }]
eta = [0.3, 0.5]                # every editor under SPHERE at every η × α …
alpha = [0.5, 0.8]
plain = true                    # … and without it
seeds = [0, 1, 2]
layers = [3]
orders = ["random", "clustered"]
edits = 3000
batch = 100

[measures]
every = 5
"""


def _choice(name: str, choices: Sequence[str]) -> AfterValidator:
    return AfterValidator(partial(_chosen, name=name, choices=tuple(choices)))


def _chosen(value: str, name: str, choices: tuple[str, ...]) -> str:
    return as_choice(value, name, choices)


def _entry(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _measures(value: object) -> Measures:
    if not isinstance(value, dict):
        raise RangeError("measures", "a table [measures]", repr(value))
    _known_keys(value, [field.name for field in fields(Measures)], "measures")
    for field in fields(Measures):
        if isinstance(field.default, bool) and not isinstance(value.get(field.name, True), bool):
            raise RangeError(field.name, "true or false", repr(value[field.name]))
    return Measures(**value)


class _Entry(BaseModel):
    """An editor's name, and settings of it."""

    model_config = ConfigDict(extra="allow", strict=True)

    name: str


_Word = Annotated[str, Field(min_length=1)]
_Seed = Annotated[int, Field(ge=0, lt=2**63)]
_Count = Annotated[int, Field(ge=1)]
_Size = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Grid(BaseModel):
    """Keys of a grid; those of the host and of the stream are None where theirs is the default."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model: _Word
    editors: Annotated[list[Annotated[_Entry, BeforeValidator(_entry)]], Field(min_length=1)]
    eta: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1)] | None = None
    alpha: Annotated[list[Annotated[float, Field(ge=0, le=2)]], Field(min_length=1)] | None = None
    controls: list[Annotated[str, _choice("controls", list(KINDS))]] = []
    plain: bool = True
    policy: Annotated[str, _choice("policy", ("paper", "released"))] = "paper"
    compensate: bool = False
    seeds: Annotated[list[_Seed], Field(min_length=1)] = [0]
    layers: Annotated[list[int], Field(min_length=1)] | None = None
    tensors: Annotated[list[_Word], Field(min_length=1)] | None = None
    orders: Annotated[list[Annotated[str, _choice("orders", ORDERS)]], Field(min_length=1)] = ["random"]
    shape: Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=2, max_length=2)] | None = None
    source: _Word | None = None
    data: _Word | None = None
    spectrum: Annotated[str, _choice("spectrum", SPECTRA)] | None = None
    decay: _Size | None = None
    edits: _Count = StreamSpec.edits
    noise: _Size = StreamSpec.noise
    batch: _Count = Task.batch
    dtype: Annotated[str, _choice("dtype", tuple(DTYPES))] = StreamSpec.dtype
    device: _Word = StreamSpec.device
    keep_updates: bool = Task.keep_updates
    threads: _Count = Task.threads
    measures: Annotated[Any, BeforeValidator(_measures)] = Measures()


# Keys that are fields of a host as they stand; "layers" and "tensors" are varied.
_OF_HOST = ("shape", "source", "data", "spectrum", "decay")


def read_grid(path: Path) -> list[Task]:
    """The runs that a grid file stands for; paths in it count from its folder.

    Parameters
    ----------
    path
        A TOML file, see `expand`.

    Returns
    -------
    list of Task
        Every run once.

    Raises
    ------
    InputError
        It cannot be read, is no TOML, or is no grid.
    """
    try:
        grid = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("grid", "a readable TOML file", f"{path}: {error}") from error
    for key in ("model", "data"):
        # Workers may stand in another folder. A model that is no file here is a name.
        if isinstance(grid.get(key), str) and (key == "data" or (path.parent / grid[key]).exists()):
            grid[key] = str((path.parent / grid[key]).resolve())
    return expand(grid)


def expand(grid: Mapping[str, Any]) -> list[Task]:
    """The runs that a grid stands for: editors × (η × α, and none) × layers or tensors × orders × seeds.

    With controls, each of them stands for SPHERE at every η × α as well; a random subspace is drawn by the
    seed of the stream.

    Parameters
    ----------
    grid
        Lists under "editors" (names, or tables of a name and settings), "eta" and "alpha" (both or neither),
        "controls" (kinds of `Control`), "seeds", "layers" (of minilm), "tensors" (of a model of one's own),
        "orders"; single values under "model", "shape", "source", "data", "spectrum", "decay", "edits",
        "batch", "noise", "dtype", "device", "policy", "compensate", "plain" (whether editors also go without
        SPHERE), "keep_updates", "threads"; a table "measures" with settings of `Measures`. Only "model" and
        "editors" are needed; see `EXAMPLE`.

    Returns
    -------
    list of Task
        Every run once; those of one layer and stream stand together.

    Raises
    ------
    InputError
        An unknown key, with the nearest known one; a value that the key is not defined for.

    Examples
    --------
    >>> grid = {"model": "synthetic", "editors": ["memit"], "eta": [0.5], "alpha": [0.5, 0.8]}
    >>> len(expand(grid | {"seeds": [0, 1]}))  # two seeds of MEMIT alone, at α = 0.5 and at 0.8
    6
    """
    found = _checked(grid)
    hosts, streams = (
        _hosts(found),
        [
            StreamSpec(found.edits, order, seed, found.noise, found.dtype, found.device)
            for order, seed in itertools.product(found.orders, found.seeds)
        ],
    )
    how = (found.measures, found.batch, found.keep_updates, found.threads)
    tasks = [
        Task(host, stream, editor, *how)
        for host, stream in itertools.product(hosts, streams)
        for editor in _editors(found, host, stream.seed)
    ]
    return list(dict.fromkeys(tasks))


def _checked(grid: Mapping[str, Any]) -> _Grid:
    try:
        return _Grid(**grid)
    except ValidationError as error:
        raise _refusal(error.errors()[0]) from error


# What pydantic's kinds of refusals say in our words.
_EXPECTED = {
    "bool_type": "true or false",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "a number > {gt:.20g}",
    "greater_than_equal": "a number ≥ {ge:.20g}",
    "int_from_float": "an integer",
    "int_type": "an integer",
    "less_than": "a number < {lt:.20g}",
    "less_than_equal": "a number ≤ {le:.20g}",
    "list_type": "a list",
    "model_type": 'a name, or a table such as {{ name = "memit", ridge = 50.0 }}',
    "string_too_short": "a word in quotes",
    "string_type": "a word in quotes",
    "too_long": "a list of at most {max_length}",
    "too_short": "a list of at least {min_length}",
}


def _refusal(error: ErrorDetails) -> InputError:
    """What is wrong with a grid, in the words of all our errors."""
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])[1:]
    own = error.get("ctx", {}).get("error")
    if isinstance(own, InputError):
        name = place if place.startswith(own.argument) else f"{place}: {own.argument}"
        return type(own)(name, own.expected, own.got, own.where)
    if error["type"] == "missing":
        return InputError(place, "a value in the grid", "none")
    if error["type"] == "extra_forbidden":
        return _unknown(place, list(_Grid.model_fields), "grid")
    expected = _EXPECTED.get(error["type"], error["msg"]).format(**error.get("ctx", {}))
    return RangeError(place, expected, repr(error["input"]))


def _known_keys(found: Mapping[str, Any], known: Sequence[str], argument: str) -> None:
    for key in found:
        if key not in known:
            raise _unknown(key, known, argument)


def _unknown(key: str, known: Sequence[str], argument: str) -> InputError:
    near = difflib.get_close_matches(key, known, n=1)
    nearest = f" (nearest: {near[0]!r})" if near else ""
    return InputError(argument, f"one of the keys {', '.join(known)}{nearest}", repr(key))


def _hosts(found: _Grid) -> list[Host]:
    """One for each layer or tensor that is listed, or the one that the model has without."""
    kind = host_type(found.model)
    wanted = f"{kind.varied}s" if kind.varied else ""
    listed = {key: getattr(found, key) for key in ("layers", "tensors")}
    for key, values in listed.items():
        if key != wanted and values is not None:
            raise InputError(key, f"{wanted or 'neither layers nor tensors'} for {found.model}", key)
    options = {name: getattr(found, name) for name in _OF_HOST}
    options["shape"] = None if found.shape is None else tuple(found.shape)
    options["data"] = None if found.data is None else Path(found.data)
    each = [{kind.varied: value} for value in listed.get(wanted) or [None]] if wanted else [{}]
    try:
        return [make_host(found.model, **options, **one) for one in each]
    except InputError as error:
        if error.argument != kind.varied:
            raise
        raise type(error)(wanted, error.expected, error.got) from error


class _Plugin(NamedTuple):
    """What stands around an editor: SPHERE, or the kind of control that stands for it."""

    sphere: tuple[float, float]
    control: str | None


def _editors(found: _Grid, host: Host, seed: int) -> list[Editor]:
    plugins: list[_Plugin | None] = [None] if found.plain else []
    if (found.eta is None) != (found.alpha is None):
        missing, there = ("alpha", "eta") if found.alpha is None else ("eta", "alpha")
        raise InputError(missing, f"a list of numbers beside {there}", "none")
    if found.eta is not None and found.alpha is not None:
        pairs = itertools.product(found.eta, found.alpha)
        plugins += [_Plugin(*both) for both in itertools.product(pairs, [None, *found.controls])]
    elif found.controls:
        raise InputError("controls", "eta and alpha beside them", "none")
    if not plugins:
        raise RangeError("plain", "true, or eta and alpha", "false, and no eta and alpha")
    return [_editor(found, entry, plugin, host, seed) for entry in found.editors for plugin in plugins]


def _editor(found: _Grid, entry: _Entry, plugin: _Plugin | None, host: Host, seed: int) -> Editor:
    with _within(f"editors, {entry.name}"):
        return make_editor(
            entry.name,
            defaults=host.editor_defaults,
            settings=entry.model_extra or {},
            sphere=plugin and plugin.sphere,
            policy=found.policy,
            compensate=found.compensate and plugin is not None,
            control=plugin and plugin.control,
            seed=seed,
        )


@contextmanager
def _within(key: str) -> Generator[None]:
    """Say under which key of the grid a value was refused."""
    try:
        yield
    except InputError as error:
        place = f"{key}: {error.argument}"
        raise type(error)(place, error.expected, error.got, error.where) from error
