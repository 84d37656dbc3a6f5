"""What a store says of runs and experiments: their names, what they were computed with, how they ended."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from sphere_theory.streams.database import Row, canonical

# Of a run; one whose weights were lost has `collapsed`.
COMPLETE, UNFINISHED = "complete", "unfinished"
_LOST = "collapsed at edit "


def collapsed(edits: int, why: str) -> str:
    """Status of a run whose weights were lost.

    Parameters
    ----------
    edits
        Made before that.
    why
        In words.

    Returns
    -------
    str
        As `RunInfo.lost_at` reads it.
    """
    return f"{_LOST}{edits}: {why}"


@dataclass(frozen=True)
class RunInfo:
    """One run as the store lists it.

    Attributes
    ----------
    id
        Its name: a hash of configuration, data and code.
    config, environment
        As it was started.
    created
        UTC, ISO 8601.
    status
        "unfinished", "complete" or "collapsed at edit N: WHY".
    edits
        Edits made so far.
    """

    id: str
    config: Row
    environment: Row
    created: str
    status: str
    edits: int

    @property
    def ended(self) -> bool:
        """Whether nothing is left to compute."""
        return self.status != UNFINISHED

    @property
    def lost_at(self) -> int | None:
        """Edits that were made when the weights were lost; None if they were not."""
        return int(self.status.removeprefix(_LOST).split(":")[0]) if self.status.startswith(_LOST) else None


def run_id(config: Mapping[str, Any]) -> str:
    """Name of a run: 12 hexadecimal digits of the SHA-256 of its configuration.

    Parameters
    ----------
    config
        Plain values, the data's hash among them.

    Returns
    -------
    str
        The same for the same configuration.
    """
    return hashlib.sha256(canonical(config).encode()).hexdigest()[:12]


def experiment_id(name: str, config: Mapping[str, Any]) -> str:
    """Name of an experiment, as `run_id` of a run.

    Parameters
    ----------
    name
        Of the kind.
    config
        Plain values.

    Returns
    -------
    str
        The same for the same name and configuration.
    """
    return run_id({"experiment": name, **config})


def environment() -> Row:
    """What a run is computed with: it may change the last bits of its numbers, hence is recorded."""
    import platform

    import numpy as np

    import sphere_theory
    from sphere_theory.code import source_hash

    return {
        "package": sphere_theory.__version__,
        "source": source_hash(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
    }
