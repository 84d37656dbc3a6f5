"""Grids of runs: a TOML file of editors, η, α, seeds, layers and orders, and the runs that it stands for."""

from __future__ import annotations

import difflib
import itertools
import tomllib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from sphere_theory.arrays import as_choice, as_count, as_real
from sphere_theory.editing.control import KINDS, Control
from sphere_theory.editing.problem import Editor
from sphere_theory.editing.sphere import Sphere
from sphere_theory.errors import InputError, RangeError
from sphere_theory.streams.job import DTYPES, SOURCES, HostChoice, make_editor
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.sources import ORDERS, SPECTRA

T = TypeVar("T")
Check = Callable[[object, str], Any]

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


@dataclass(frozen=True)
class Task:
    """One run of a grid: all that `run_stream` is to be asked.

    Attributes
    ----------
    host
        Layer and stream.
    editor
        How to edit.
    measures
        What to measure.
    batch
        Edits a batch.
    keep_updates
        Whether ΔW of every batch is kept.
    threads
        Threads that torch computes with: the last bits of the result may depend on them.
    """

    host: HostChoice
    editor: Editor
    measures: Measures
    batch: int = 100
    keep_updates: bool = False
    threads: int = 1

    def __str__(self) -> str:
        host = self.host
        matrix = {"minilm": f" layer {host.layer}", "synthetic": ""}.get(host.model, f" {host.tensor}")
        where = host.model + matrix
        return f"{_words(self.editor)} on {where}, {host.source} keys, order {host.order}, seed {host.seed}"


def _words(editor: Editor) -> str:
    if isinstance(editor, Sphere):
        return f"SPHERE η={editor.eta:g} α={editor.alpha:g} of {editor.editor}"
    if isinstance(editor, Control):
        return f"{KINDS[editor.kind]} for η={editor.eta:g} α={editor.alpha:g} of {editor.editor}"
    return str(editor)


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
    _known_keys(grid, tuple(_CHECKS), "grid")
    for key in ("model", "editors"):
        if key not in grid:
            raise InputError(key, "a value in the grid", "none")
    values = {key: check(grid[key], key) for key, (check, _) in _CHECKS.items() if key in grid}
    values = {key: default for key, (_, default) in _CHECKS.items()} | values
    how = {name: values[name] for name in ("measures", "batch", "keep_updates", "threads")}
    tasks = [Task(host, editor, **how) for host in _hosts(values) for editor in _editors(values, host.seed)]
    return list(dict.fromkeys(tasks))


def _known_keys(found: Mapping[str, Any], known: Sequence[str], argument: str) -> None:
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            nearest = f" (nearest: {near[0]!r})" if near else ""
            raise InputError(argument, f"one of the keys {', '.join(known)}{nearest}", repr(key))


def _hosts(values: Mapping[str, Any]) -> list[HostChoice]:
    names = ("model", "shape", "data", "spectrum", "decay", "edits", "noise", "dtype", "device")
    fixed = {name: values[name] for name in names}
    fixed["source"] = values["source"] or ("recorded" if values["model"] == "minilm" else "gaussian")
    if fixed["source"] == "recorded" and values["model"] != "minilm":
        expected = "gaussian, orthonormal or clustered keys: only those of minilm are recorded"
        raise RangeError("source", expected, "'recorded'")
    axes = itertools.product(_matrices(values), values["orders"], values["seeds"])
    return [HostChoice(order=order, seed=seed, **matrix, **fixed) for matrix, order, seed in axes]


def _matrices(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Which matrices of the model: layers of MiniLM, tensors of a model of one's own, the synthetic one."""
    wanted = {"minilm": "layers", "synthetic": None}.get(values["model"], "tensors")
    for key in ("layers", "tensors"):
        if key != wanted and values[key] is not None:
            raise InputError(key, f"{wanted or 'neither layers nor tensors'} for {values['model']}", key)
    if wanted is None:
        return [{}]
    if wanted == "layers":
        return [{"layer": layer} for layer in values["layers"] or [HostChoice.layer]]
    if values["tensors"] is None:
        raise InputError("tensors", f"a list of names of matrices of {values['model']}", "none")
    return [{"tensor": name} for name in values["tensors"]]


# η and α, and the kind of the control that stands for SPHERE, if one does.
_Plugin = tuple[tuple[float, float], str | None]


def _editors(values: Mapping[str, Any], seed: int) -> list[Editor]:
    plugins: list[_Plugin | None] = [None] if values["plain"] else []
    if (values["eta"] is None) != (values["alpha"] is None):
        missing, there = ("alpha", "eta") if values["alpha"] is None else ("eta", "alpha")
        raise InputError(missing, f"a list of numbers beside {there}", "none")
    if values["eta"] is not None:
        pairs = list(itertools.product(values["eta"], values["alpha"]))
        plugins += itertools.product(pairs, [None, *values["controls"]])
    elif values["controls"]:
        raise InputError("controls", "eta and alpha beside them", "none")
    if not plugins:
        raise RangeError("plain", "true, or eta and alpha", "false, and no eta and alpha")
    return [_editor(values, entry, plugin, seed) for entry in values["editors"] for plugin in plugins]


def _editor(values: Mapping[str, Any], entry: Mapping[str, Any], plugin: _Plugin | None, seed: int) -> Editor:
    settings = {key: value for key, value in entry.items() if key != "name"}
    sphere, control = plugin or (None, None)
    with _within(f"editors, {entry['name']}"):
        return make_editor(
            entry["name"],
            model=values["model"],
            settings=settings,
            sphere=sphere,
            policy=values["policy"],
            compensate=values["compensate"] and sphere is not None,
            control=control,
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


def _word(value: object, key: str) -> str:
    if not isinstance(value, str) or not value:
        raise RangeError(key, "a word in quotes", repr(value))
    return value


def _yes(value: object, key: str) -> bool:
    if not isinstance(value, bool):
        raise RangeError(key, "true or false", repr(value))
    return value


def _shape(value: object, key: str) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise RangeError(key, "[n, d]", repr(value))
    n, d = (as_count(length, key, low=2) for length in value)
    return n, d


def _entry(value: object, key: str) -> Mapping[str, Any]:
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise RangeError(key, 'a name, or a table such as { name = "memit", ridge = 50.0 }', repr(value))
    return value


def _measures(value: object, key: str) -> Measures:
    if not isinstance(value, dict):
        raise RangeError(key, "a table [measures]", repr(value))
    _known_keys(value, tuple(field.name for field in fields(Measures)), key)
    with _within(key):
        for name in ("early", "audits", "certificate"):
            _yes(value.get(name, True), name)
        return Measures(**value)


def _list(check: Callable[[object, str], T]) -> Callable[[object, str], list[T]]:
    def checked(value: object, key: str) -> list[T]:
        if not isinstance(value, list) or not value:
            raise RangeError(key, "a list of at least one value", repr(value))
        return [check(item, f"{key}[{place}]") for place, item in enumerate(value)]

    return checked


def _one_of(*choices: str) -> Check:
    return lambda value, key: as_choice(value, key, choices)


def _count(low: int, high: int | None = None) -> Check:
    return lambda value, key: as_count(value, key, low=low, high=high)


def _number(low: float, high: float, low_open: bool = False) -> Check:
    return lambda value, key: as_real(value, key, low=low, high=high, low_open=low_open)


_INFINITE = float("inf")

# What each key is checked by, and its value where the grid does not say.
_CHECKS: dict[str, tuple[Check, Any]] = {
    "model": (_word, None),
    "editors": (_list(_entry), None),
    "eta": (_list(_number(0, 1, low_open=True)), None),
    "alpha": (_list(_number(0, 2)), None),
    "controls": (_list(_one_of(*KINDS)), []),
    "plain": (_yes, True),
    "policy": (_one_of("paper", "released"), "paper"),
    "compensate": (_yes, False),
    "seeds": (_list(_count(0, 2**63 - 1)), [0]),
    "layers": (_list(_count(0, 5)), None),
    "tensors": (_list(_word), None),
    "orders": (_list(_one_of(*ORDERS)), ["random"]),
    "shape": (_shape, HostChoice.shape),
    "source": (_one_of(*SOURCES), None),
    "data": (lambda value, key: Path(_word(value, key)), None),
    "spectrum": (_one_of(*SPECTRA), HostChoice.spectrum),
    "decay": (_number(0, _INFINITE), HostChoice.decay),
    "edits": (_count(1), HostChoice.edits),
    "noise": (_number(0, _INFINITE), HostChoice.noise),
    "batch": (_count(1), Task.batch),
    "dtype": (_one_of(*DTYPES), HostChoice.dtype),
    "device": (_word, HostChoice.device),
    "keep_updates": (_yes, Task.keep_updates),
    "threads": (_count(1), Task.threads),
    "measures": (_measures, Measures()),
}
