"""A layer of Gaussian weights, and synthetic keys for it or for any other matrix."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_choice
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.errors import RangeError
from sphere_theory.hosts.base import Host, Report, StreamSpec
from sphere_theory.hosts.edits import EditStream, make_stream
from sphere_theory.hosts.keys import KINDS, SyntheticKeys

# Keys that are never edited, beside synthetic ones that are.
PRESERVED = 1000

# Between the seed of keys and that of a synthetic layer: from one seed its neurons would be its keys.
_LAYER = 0x1A7E2


def under_synthetic_keys(
    W: Float[Tensor, "n d"], keys: SyntheticKeys, spec: StreamSpec
) -> tuple[LayerMemory, EditStream]:
    """A layer under synthetic keys: C0 is exactly that of their distribution.

    Parameters
    ----------
    W
        Weights before any edit.
    keys
        Their distribution.
    spec
        Which edits.

    Returns
    -------
    memory, stream
        Keys in float32, everything else in the dtype of W.
    """
    drawn = keys.draw(spec.facts + PRESERVED, W.shape[1]).to(W.device)
    record = {"source": keys.kind, **asdict(keys)}
    return LayerMemory(W, keys.second_moment(W.shape[1]).to(W.device)), noisy_stream(W, drawn, spec, record)


def noisy_stream(
    W: Float[Tensor, "n d"], drawn: Float[Tensor, "k d"], spec: StreamSpec, record: dict[str, Any]
) -> EditStream:
    """A stream of drawn keys, whose paraphrases are keys with noise.

    Parameters
    ----------
    W
        Weights before any edit.
    drawn
        A key for each fact, then those that are never edited: of orthonormal keys the first d are one set.
    spec
        Which edits.
    record
        How the keys were drawn.

    Returns
    -------
    EditStream
        Keys in float32, values in the dtype of W.
    """
    noise = spec.noise or 0.1
    return make_stream(
        W,
        drawn[: spec.facts],
        drawn[spec.facts :],
        noise=noise,
        edits=spec.edits,
        order=spec.order,
        seed=spec.seed,
        record=record | {"noise": noise},
    )


def random_weight(n: int, d: int, *, seed: int) -> Float[Tensor, "n d"]:
    """Gaussian weights with rows of length about 1, float32: a synthetic layer.

    Parameters
    ----------
    n, d
        Shape.
    seed
        Of the draw: another one than that of `SyntheticKeys` with the same seed.

    Returns
    -------
    Tensor
        (n, d).

    Raises
    ------
    RangeError
        Fewer than two neurons or dimensions.
    """
    if min(n, d) < 2:
        raise RangeError("shape", "at least 2×2", f"{n}×{d}")
    generator = torch.Generator().manual_seed(seed ^ _LAYER)
    return torch.randn((n, d), generator=generator).mul_(1 / math.sqrt(d))


def keys_in_words(source: str, spectrum: str) -> str:
    """Synthetic keys as figures call them.

    Parameters
    ----------
    source
        Their kind.
    spectrum
        Of C0; of no consequence for orthonormal keys.

    Returns
    -------
    str
        Such as "gaussian keys, power spectrum".
    """
    return f"{source} keys" if source == "orthonormal" else f"{source} keys, {spectrum} spectrum"


@dataclass(frozen=True)
class SyntheticLayer(Host):
    """Gaussian weights under synthetic keys, both drawn by the seed of the stream.

    Parameters
    ----------
    shape
        (n, d). Default (512, 2048).
    source
        A kind of `SyntheticKeys`. Default "gaussian".
    spectrum, decay
        Of the keys. Default "power" and 1.

    Raises
    ------
    RangeError
        An unknown source, or none that a synthetic layer has.
    """

    shape: tuple[int, int] = (512, 2048)
    source: str = "gaussian"
    spectrum: str = "power"
    decay: float = 1.0

    name: ClassVar[str] = "synthetic"

    def __post_init__(self) -> None:
        as_choice(self.source, "source", KINDS)

    @property
    def weights(self) -> str:
        """As of `Host`."""
        return self.name

    @property
    def label(self) -> str:
        """As of `Host`."""
        return keys_in_words(self.source, self.spectrum)

    def weight(self, seed: int = 0) -> Float[Tensor, "n d"]:
        """As of `Host`."""
        return random_weight(*self.shape, seed=seed)

    def with_edits(
        self, W: Float[Tensor, "n d"], spec: StreamSpec, folder: Path, report: Report
    ) -> tuple[LayerMemory, EditStream]:
        """As of `Host`."""
        return under_synthetic_keys(W, SyntheticKeys(self.source, self.spectrum, self.decay, spec.seed), spec)
