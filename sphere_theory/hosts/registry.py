"""Hosts by the names that commands and grids call them: a new host is its file and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sphere_theory.errors import InputError
from sphere_theory.hosts.base import Host
from sphere_theory.hosts.checkpoint import CheckpointLayer
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.hosts.synthetic import SyntheticLayer

# Anything else is the model of a `CheckpointLayer`.
HOSTS: Mapping[str, type[Host]] = {host.name: host for host in (MiniLM, SyntheticLayer)}


def host_type(model: str) -> type[Host]:
    """The kind of host that a model is.

    Parameters
    ----------
    model
        A name of `HOSTS`, or a folder, file or hub id.

    Returns
    -------
    type
        A subclass of `Host`.
    """
    return HOSTS.get(model, CheckpointLayer)


def _options_of(kind: type[Host]) -> tuple[str, ...]:
    """What can be chosen of a kind of host, the model apart.

    Parameters
    ----------
    kind
        A subclass of `Host`.

    Returns
    -------
    tuple of str
        Names of its fields.
    """
    return tuple(field.name for field in fields(kind) if field.name != "model")


def make_host(model: str, **options: Any) -> Host:
    """The host that was asked for.

    Parameters
    ----------
    model
        A name of `HOSTS`, or anything that `load_layer` takes by name.
    **options
        Fields of the host; None stands for its default.

    Returns
    -------
    Host
        Nothing is read yet.

    Raises
    ------
    InputError
        An option that this host does not have, or a value outside its range.
    """
    kind = host_type(model)
    known = _options_of(kind)
    chosen = {name: value for name, value in options.items() if value is not None}
    for name, value in chosen.items():
        if name not in known:
            raise InputError(name, f"none for {model}, which has {', '.join(known)}", repr(value))
    return kind(**chosen) if model in HOSTS else CheckpointLayer(model, **chosen)


def title_of(model: str) -> str | None:
    """How figures call a model's layers together.

    Parameters
    ----------
    model
        As in a host's record.

    Returns
    -------
    str or None
        None for weights that are drawn.
    """
    return host_type(model).title
