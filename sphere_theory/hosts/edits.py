"""Where a stream's edits come from: recorded or synthetic keys, their new values, and their order.

Every stream is about facts: a key k with the value W0 k that the layer gives it before any edit. An edit
asks for another fact's value instead, as a counterfactual takes another prompt's answer.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sphere_theory.arrays import as_choice, as_count, as_matrix, as_real, full_precision
from sphere_theory.editing.problem import EditBatch
from sphere_theory.errors import ShapeError
from sphere_theory.hosts.base import Edits
from sphere_theory.hosts.retrieval import Retrieval

ORDERS = ("random", "clustered", "similarity")

# Synthetic paraphrases are keys plus one of this many noise vectors in turn.
_NOISES = 512

_TENSORS = ("keys", "facts", "targets", "values", "preserved", "paraphrases")


@dataclass(frozen=True, eq=False)
class EditStream(Edits):
    """A sequence of edits, and what is needed to judge them.

    Attributes
    ----------
    record
        How it was made, as plain values: name, order, seed and the source's settings.
    keys
        One key a row, (N, d), in the order of editing: rows, so that a batch is one piece of memory. They
        may be stored in a narrower dtype than the values'; methods widen what they return.
    facts
        Which fact each edit is about, (N,): edits of the same fact replace each other.
    targets
        Which value each edit asks for, (N,): a row of `values`.
    values
        Values W0 k of the facts before any edit, (M, n), one a row.
    preserved
        Keys that are never edited, (m, d).
    paraphrases
        Other keys of the same facts, (N, d), or noise to add to the keys, (·, d), taken in turn and
        scaled by `noise` times the key's norm.
    noise
        0 where `paraphrases` are keys themselves.
    """

    record: Mapping[str, Any]
    keys: Float[Tensor, "N d"]
    facts: Int64[Tensor, " N"]
    targets: Int64[Tensor, " N"]
    values: Float[Tensor, "M n"]
    preserved: Float[Tensor, "m d"]
    paraphrases: Float[Tensor, "p d"]
    noise: float = 0.0

    def __len__(self) -> int:
        return len(self.keys)

    def batch(self, start: int, stop: int, weight: Float[Tensor, "n d"] | None = None) -> EditBatch:
        """The edits from `start` to `stop`, keys and values in columns.

        Parameters
        ----------
        start, stop
            Half-open interval of edits.
        weight
            Of no consequence: keys and values are those before any edit.

        Returns
        -------
        EditBatch
            K, (d, b), and V, (n, b).
        """
        return EditBatch(self.own_keys(start, stop).T, self.values[self.targets[start:stop]].T)

    def own_keys(self, start: int, stop: int) -> Float[Tensor, "b d"]:
        """Keys of the edits from `start` to `stop`, one a row.

        Parameters
        ----------
        start, stop
            Half-open interval of edits.

        Returns
        -------
        Tensor
            (b, d), in the dtype of the values.
        """
        return self.keys[start:stop].to(self.values)

    def other_keys(self, start: int, stop: int) -> Float[Tensor, "b d"]:
        """Paraphrase keys of the edits from `start` to `stop`, one a row.

        Parameters
        ----------
        start, stop
            Half-open interval of edits.

        Returns
        -------
        Tensor
            (b, d), in the dtype of the values.
        """
        if not self.noise:
            return self.paraphrases[start:stop].to(self.values)
        keys = self.own_keys(start, stop)
        turn = torch.arange(start, start + len(keys), device=keys.device) % len(self.paraphrases)
        size = self.noise * torch.linalg.vector_norm(keys, dim=1, keepdim=True)
        return keys + size * self.paraphrases[turn].to(keys)

    def in_force(self, done: int) -> Int64[Tensor, " k"]:
        """Those of the first `done` edits that no later one of them replaced.

        Parameters
        ----------
        done
            Number of edits made.

        Returns
        -------
        Tensor
            Their places, rising.
        """
        latest = torch.full((int(self.facts.max()) + 1,), -1, device=self.facts.device)
        places = torch.arange(done, device=self.facts.device)
        latest.scatter_reduce_(0, self.facts[:done], places, "amax")
        return latest[latest >= 0].sort().values

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in it."""
        found = hashlib.sha256(json.dumps(dict(self.record), sort_keys=True).encode())
        found.update(repr(self.noise).encode())
        for tensor in (getattr(self, name) for name in _TENSORS):
            found.update(repr((tuple(tensor.shape), str(tensor.dtype))).encode())
            for block in tensor.split(4096):
                found.update(block.contiguous().cpu().numpy())
        return found.hexdigest()

    def of(self, host: Mapping[str, Any]) -> EditStream:
        """As of `Edits`."""
        return replace(self, record=dict(self.record) | dict(host))

    def fitted(self, W: Float[Tensor, "n d"]) -> EditStream:
        """As of `Edits`."""
        n, d = W.shape
        for name in ("keys", "preserved", "paraphrases"):
            as_matrix(getattr(self, name), f"stream.{name}", columns=d)
        as_matrix(self.values, "stream.values", columns=n)
        return self.to(W.device, W.dtype)

    def judge(
        self, W: Float[Tensor, "n d"], *, candidates: int, preserved_candidates: int, seed: int
    ) -> Retrieval:
        """As of `Edits`: by retrieval."""
        return Retrieval.prepared(
            self, W, candidates=candidates, preserved_candidates=preserved_candidates, seed=seed
        )

    def to(self, device: str | torch.device, dtype: torch.dtype) -> EditStream:
        """The same stream elsewhere.

        Parameters
        ----------
        device
            Where to.
        dtype
            Of values, preserved keys and the batches. Keys that are stored in a narrower one stay as they
            are: they are most of a long stream.

        Returns
        -------
        EditStream
            Its numbers on that device; itself, digest and all, where they are there already.
        """
        moved = EditStream(
            record=self.record,
            keys=self.keys.to(device, _narrower(self.keys.dtype, dtype)),
            facts=self.facts.to(device),
            targets=self.targets.to(device),
            values=self.values.to(device, dtype),
            preserved=self.preserved.to(device, dtype),
            paraphrases=self.paraphrases.to(device, _narrower(self.paraphrases.dtype, dtype)),
            noise=self.noise,
        )
        stayed = all(getattr(moved, name) is getattr(self, name) for name in _TENSORS)
        return self if stayed else moved


def _narrower(one: torch.dtype, other: torch.dtype) -> torch.dtype:
    return min(one, other, key=lambda dtype: torch.finfo(dtype).bits)


@full_precision()
def make_stream(
    W: Float[Tensor, "n d"],
    keys: Float[Tensor, "M d"],
    preserved: Float[Tensor, "m d"],
    *,
    paraphrases: Float[Tensor, "M d"] | None = None,
    noise: float = 0.1,
    edits: int | None = None,
    order: str = "random",
    seed: int = 0,
    record: Mapping[str, Any],
) -> EditStream:
    """A stream of edits of given facts: each is to be given another one's value.

    More edits than facts are made in rounds: each round edits every fact once more, towards another value
    than the round before (where there are three facts or more), so that later edits contradict earlier ones.

    Parameters
    ----------
    W
        Weights before any edit, (n, d).
    keys
        One key a fact, (M, d), M ≥ 2.
    preserved
        Keys that are never edited, (m, d).
    paraphrases
        Another key for each fact, (M, d); None: noise is added to the keys.
    noise
        Its norm relative to the key's, where there are no paraphrases. Default 0.1.
    edits
        Number of edits; None: one for each fact.
    order
        "random"; "clustered": group by group of similar keys; "similarity": by falling cosine with
        one random key.
    seed
        Of targets, order and noise.
    record
        How the keys were made, as plain values.

    Returns
    -------
    EditStream
        Keys in the dtype that they are given in, values in that of W, on one device.

    Raises
    ------
    ShapeError
        Matrices that do not fit each other, or fewer than two facts.
    DTypeError, NonFiniteError
        Not finite real numbers.
    RangeError
        An unknown order, or a number outside its range.
    """
    d = as_matrix(W, "W").shape[1]
    keys = as_matrix(keys, "keys", columns=d)
    preserved = as_matrix(preserved, "preserved", columns=d)
    if len(keys) < 2:
        raise ShapeError("keys", "at least two facts, to exchange values", f"{len(keys)}")
    as_choice(order, "order", ORDERS)
    count = len(keys) if edits is None else as_count(edits, "edits", low=1)
    generator = torch.Generator().manual_seed(as_count(seed, "seed", low=0, high=2**63 - 1))
    # In the dtype of W, whatever that of the keys.
    values = torch.cat([block.to(W) @ W.T for block in keys.split(4096)])
    fact, target = _rounds(keys, count, order, generator)
    if paraphrases is None:
        as_real(noise, "noise", low=0, low_open=True)
        others = _directions(d, generator).to(keys)
    else:
        others = as_matrix(paraphrases, "paraphrases", rows=len(keys), columns=d)[fact]
    return EditStream(
        record=dict(record) | {"order": order, "seed": seed, "edits": count, "facts": len(keys)},
        keys=keys[fact],
        facts=fact.to(keys.device),
        targets=target.to(keys.device),
        values=values,
        preserved=preserved.to(W),
        paraphrases=others,
        noise=noise if paraphrases is None else 0.0,
    )


def _rounds(
    keys: Float[Tensor, "M d"], count: int, order: str, generator: torch.Generator
) -> tuple[Int64[Tensor, " N"], Int64[Tensor, " N"]]:
    """Which fact each edit is about, and whose value it asks for."""
    # A shift along one random cycle gives every fact another one's value, and a new one each round.
    cycle = torch.randperm(len(keys), generator=generator)
    facts, targets = [], []
    for turn in range(math.ceil(count / len(keys))):
        ranked = _ordered(keys, order, generator)
        facts.append(ranked)
        targets.append(_shifted(cycle, 1 + turn % (len(keys) - 1))[ranked])
    return torch.cat(facts)[:count], torch.cat(targets)[:count]


def _directions(d: int, generator: torch.Generator) -> Float[Tensor, "p d"]:
    """What is added to keys where there are no paraphrases, of unit length."""
    drawn = torch.randn((_NOISES, d), generator=generator)
    return drawn / torch.linalg.vector_norm(drawn, dim=1, keepdim=True)


def _shifted(cycle: Int64[Tensor, " M"], by: int) -> Int64[Tensor, " M"]:
    """The permutation that sends each member of a cycle to the one `by` places further."""
    image = torch.empty_like(cycle)
    image[cycle] = cycle.roll(-by)
    return image


def _ordered(keys: Float[Tensor, "M d"], order: str, generator: torch.Generator) -> Int64[Tensor, " M"]:
    shuffled = torch.randperm(len(keys), generator=generator)
    if order == "random":
        return shuffled
    units = (keys / torch.linalg.vector_norm(keys, dim=1, keepdim=True)).cpu()
    if order == "similarity":
        return torch.argsort(units @ units[shuffled[0]], descending=True, stable=True)
    centres = shuffled[: max(2, math.isqrt(len(keys)))]
    group = torch.cat([(block @ units[centres].T).argmax(dim=1) for block in units.split(4096)])
    return torch.argsort(group, stable=True)
