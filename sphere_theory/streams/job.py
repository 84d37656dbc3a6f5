"""From words on the command line to a layer, an editor and a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sphere_theory.arrays import as_choice
from sphere_theory.editing.catalog import find_editor
from sphere_theory.editing.control import Control
from sphere_theory.editing.problem import Editor, LayerMemory
from sphere_theory.editing.sphere import Sphere
from sphere_theory.errors import RangeError
from sphere_theory.models.datasets import counterfact, packaged_prompts
from sphere_theory.models.embedded import MINILM_OUTPUT
from sphere_theory.models.weights import load_layer, open_checkpoint
from sphere_theory.streams.hosts import (
    Recorded,
    Report,
    like_recorded,
    minilm_weight,
    quiet,
    random_weight,
    record_minilm,
    synthetic_host,
)
from sphere_theory.streams.plan import Plan, memory_plan
from sphere_theory.streams.sources import KINDS, EditStream, Synthetic

SOURCES = ("recorded", *KINDS)
DTYPES = {"float32": torch.float32, "float64": torch.float64}

# λ for MiniLM, whose C0 stands for some 10⁴ to 10⁵ tokens; the released 15,000 belongs to LLaMA3-8B, where it
# hardly lets one edit through here.
MINILM_RIDGE = 15.0

# Hyperparameters of SPHERE that have no option of their own.
_OF_SPHERE = ("basis", "rows", "rank_rule", "solve_on")


@dataclass(frozen=True)
class HostChoice:
    """Which layer is edited, and with what.

    Attributes
    ----------
    model
        "minilm", "synthetic", or anything that `load_layer` takes.
    tensor
        Name of the matrix, for a model of one's own.
    layer
        Of MiniLM.
    shape
        (n, d) of "synthetic".
    source
        "recorded": keys of prompts (MiniLM alone); otherwise a kind of `Synthetic` keys.
    data
        CounterFact file; None: the packaged prompts.
    spectrum, decay
        Of synthetic keys; on MiniLM Gaussian keys have the recorded C0.
    edits, order, seed, noise
        As in `make_stream`.
    dtype
        In which the weights are kept.
    device
        Where to compute.

    Raises
    ------
    RangeError
        An unknown dtype or source.
    """

    model: str
    tensor: str | None = None
    layer: int = 3
    shape: tuple[int, int] = (512, 2048)
    source: str = "recorded"
    data: Path | None = None
    spectrum: str = "power"
    decay: float = 1.0
    edits: int = 1000
    order: str = "random"
    seed: int = 0
    noise: float = 0.0
    dtype: str = "float64"
    device: str = "cpu"

    def __post_init__(self) -> None:
        as_choice(self.dtype, "dtype", tuple(DTYPES))
        as_choice(self.source, "source", SOURCES)


def host_shape(choice: HostChoice) -> tuple[int, int]:
    """(n, d) of the layer that was asked for, without reading it.

    Parameters
    ----------
    choice
        What was asked for.

    Returns
    -------
    n, d
        Neurons and inputs.

    Raises
    ------
    RangeError
        A model of one's own without the name of a matrix.
    ModelError
        A model or matrix that cannot be found.
    """
    if choice.model == "synthetic":
        return choice.shape
    if choice.model == "minilm":
        return MINILM_OUTPUT
    n, d = open_checkpoint(choice.model).shape(_tensor(choice))
    return n, d


def run_plan(choice: HostChoice, editor: Editor, *, batch: int) -> Plan:
    """The memory that a run will need, see `memory_plan`.

    Parameters
    ----------
    choice
        Which layer is edited, and with what.
    editor
        How it is edited.
    batch
        Edits a batch.

    Returns
    -------
    dict of str to int
        Bytes by what for.

    Raises
    ------
    RangeError, ModelError
        As for `host_shape`.
    """
    return memory_plan(
        host_shape(choice), editor, edits=choice.edits, batch=batch, dtype=DTYPES[choice.dtype]
    )


def _tensor(choice: HostChoice) -> str:
    if choice.tensor is None:
        raise RangeError("tensor", f"the name of a matrix of {choice.model}", "nothing")
    return choice.tensor


def make_host(choice: HostChoice, folder: Path, report: Report = quiet) -> tuple[LayerMemory, EditStream]:
    """The layer and the stream that were asked for.

    Parameters
    ----------
    choice
        What was asked for.
    folder
        Where recorded keys are kept.
    report
        Told what is being done. Default: nobody is.

    Returns
    -------
    memory, stream
        On the device and in the dtype asked for.

    Raises
    ------
    RangeError
        A name that is not known, or a source that the model does not have.
    ModelError, IntegrityError, StoreError
        A model or file that cannot be found, read or trusted, or a folder that cannot be written.
    """
    memory, stream = _made(choice, folder, report)
    # Layers of a model have the same shape, and often the same keys: a run says which one it was.
    return memory, replace(stream, record=dict(stream.record) | {"weights": _words(choice)})


def _made(choice: HostChoice, folder: Path, report: Report) -> tuple[LayerMemory, EditStream]:
    stream: dict[str, Any] = {name: getattr(choice, name) for name in ("edits", "order", "seed", "noise")}
    if choice.model == "minilm" and choice.source in ("recorded", "gaussian"):
        W = minilm_weight(choice.layer).to(choice.device, DTYPES[choice.dtype])
        recorded = _recorded(choice, folder, report)
        made = recorded.stream if choice.source == "recorded" else None
        edits = made(W, **stream) if made else like_recorded(W, recorded, **stream)
        return LayerMemory(W, recorded.second_moment.to(W.device), samples=recorded.samples), edits
    if choice.source == "recorded":
        raise RangeError("source", f"one of {', '.join(KINDS)} for {choice.model}", "'recorded'")
    source = Synthetic(choice.source, choice.spectrum, choice.decay, choice.seed)
    W = _weight(choice).to(choice.device, DTYPES[choice.dtype])
    return synthetic_host(W, source, **stream)


def _words(choice: HostChoice) -> str:
    """Which matrix was asked for; a path by its last part alone."""
    if choice.model == "minilm":
        return f"MiniLM layer {choice.layer}"
    return choice.model if choice.tensor is None else f"{Path(choice.model).name} {choice.tensor}"


def _weight(choice: HostChoice) -> torch.Tensor:
    if choice.model == "synthetic":
        return random_weight(*choice.shape, seed=choice.seed)
    if choice.model == "minilm":
        return minilm_weight(choice.layer)
    return torch.as_tensor(load_layer(choice.model, _tensor(choice)))


def _recorded(choice: HostChoice, folder: Path, report: Report) -> Recorded:
    prompts = packaged_prompts() if choice.data is None else counterfact(choice.data)
    return record_minilm(choice.layer, prompts, folder, device=choice.device, report=report)


def make_editor(
    name: str,
    *,
    model: str,
    settings: Sequence[str] | Mapping[str, Any] = (),
    sphere: tuple[float, float] | None = None,
    policy: str = "paper",
    compensate: bool = False,
    control: str | None = None,
    seed: int = 0,
) -> Editor:
    """The editor that was asked for.

    Parameters
    ----------
    name
        One of the catalog.
    model
        Whose layer it edits: for MiniLM λ is 15 unless set.
    settings
        Hyperparameters, as ``name=value`` or by name: of the editor, of the one it wraps, or of `Sphere`
        (basis, rows, rank_rule, solve_on).
    sphere
        η and α; None: no projection.
    policy
        "paper" or "released", as in `Sphere`.
    compensate
        As in `Sphere`.
    control
        A kind of `Control` that stands for SPHERE, with its η and α; None: SPHERE itself.
    seed
        Of the control's random subspace; no other kind takes it.

    Returns
    -------
    Editor
        Ready to edit.

    Raises
    ------
    RangeError
        An unknown name or setting, a value outside its range, or a control of SPHERE with another policy
        or with compensation.
    """
    if not isinstance(settings, Mapping):
        settings = dict(_setting(text) for text in settings)
    chosen = dict(settings)
    as_choice(policy, "policy", ("paper", "released"))
    if sphere is None:
        if compensate:
            raise RangeError("compensate", "SPHERE to compensate: --sphere ETA ALPHA", "none")
        if control is not None:
            raise RangeError("control", "η and α of the SPHERE that it stands for", "none")
        return _built(name, chosen, model)
    eta, alpha = sphere
    if control is not None:
        if policy != "paper" or compensate:
            asked = f"policy={policy!r}, compensate={compensate}"
            raise RangeError("control", 'policy="paper" and no compensation beside it', asked)
        # A seed that changes nothing would make two runs of one.
        drawn = {"seed": seed} if control == "random" else {}
        return Control(_built(name, chosen, model), kind=control, eta=eta, alpha=alpha, **drawn)
    own = {key: chosen.pop(key) for key in _OF_SPHERE if key in chosen}
    wrap = Sphere.paper if policy == "paper" else Sphere.released
    return wrap(_built(name, chosen, model), eta=eta, alpha=alpha, compensate=compensate, **own)


def _built(name: str, settings: Mapping[str, Any], model: str) -> Editor:
    """An editor; settings that a wrapping editor does not have go to the one it wraps, named by `editor`."""
    default = find_editor(name)
    inner = getattr(default, "editor", None)
    if inner is None:
        own = dict(settings)
        if model == "minilm" and "ridge" in default.record():
            own.setdefault("ridge", MINILM_RIDGE)
        return find_editor(name, **own)
    own = {key: value for key, value in settings.items() if key in default.record()}
    rest = {key: value for key, value in settings.items() if key not in own}
    wrapped = own.pop("editor", inner.name)
    return find_editor(name, **own, editor=_built(wrapped, rest, model))


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise RangeError("set", "name=value", repr(text))
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
