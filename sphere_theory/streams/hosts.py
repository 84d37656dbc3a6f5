"""Layers to edit, with a stream of edits for each: MiniLM on recorded or synthetic keys, or any matrix.

Recorded keys take a model some time; they are kept in a folder under the hash of all they depend on.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory import models
from sphere_theory.arrays import as_count
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.errors import RangeError
from sphere_theory.models.activations import MINILM_LAYERS, minilm_second_moment, minilm_subject_keys
from sphere_theory.models.datasets import PromptSet
from sphere_theory.models.embedded import MINILM_SHA256
from sphere_theory.models.weights import load_layer
from sphere_theory.records import source_hash
from sphere_theory.streams.files import explained, held, load_whole, save_whole
from sphere_theory.streams.sources import EditStream, Synthetic, coloured, make_stream

# Keys that are never edited, beside synthetic ones that are.
PRESERVED = 1000

# Between the seed of keys and that of a synthetic layer: from one seed its neurons would be its keys.
_LAYER = 0x1A7E2

Report = Callable[[str, int, int], None]


def quiet(what: str, done: int, total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a model's layer was asked about: keys of prompts, and the second moment of a background.

    Attributes
    ----------
    name
        Of the prompts.
    keys, paraphrases
        One a row, (M, d), float32.
    preserved
        (m, d), float32.
    second_moment, samples
        C0, (d, d) float64, and the number of tokens behind it.
    """

    name: str
    keys: Float[Tensor, "M d"]
    paraphrases: Float[Tensor, "M d"]
    preserved: Float[Tensor, "m d"]
    second_moment: Float[Tensor, "d d"]
    samples: int

    def stream(
        self, W: Float[Tensor, "n d"], *, edits: int, order: str, seed: int, noise: float
    ) -> EditStream:
        """A stream of edits of the recorded facts.

        Parameters
        ----------
        W
            Weights before any edit.
        edits, order, seed
            As in `make_stream`; a random part of the facts if there are more than edits.
        noise
            0: the recorded paraphrases; otherwise noise of this relative size on the keys.

        Returns
        -------
        EditStream
            Keys in float32, values in the dtype of W.
        """
        # Those of a smaller stream are a sample, not the beginning of the file.
        chosen = torch.randperm(len(self.keys), generator=torch.Generator().manual_seed(seed))
        chosen = chosen[: _facts(edits)]
        return make_stream(
            W,
            self.keys[chosen].to(W.device),
            self.preserved.to(W.device),
            paraphrases=None if noise else self.paraphrases[chosen].to(W.device),
            noise=noise or 0.1,
            edits=edits,
            order=order,
            seed=seed,
            record={"source": "recorded", "prompts": self.name, "noise": noise},
        )


def _facts(edits: int) -> int:
    """One for each edit, but two at least: a fact is given another one's value."""
    return max(edits, 2)


def record_minilm(
    layer: int, prompts: PromptSet, folder: Path, *, device: str = "cpu", report: Report = quiet
) -> Recorded:
    """Run MiniLM on prompts, or read what an earlier call kept.

    Parameters
    ----------
    layer
        One of the layers 0 to 5.
    prompts
        What to ask.
    folder
        Where to keep the result; a damaged file is made anew.
    device
        Where to run the model.
    report
        Told what is being done, and how many texts of how many are.

    Returns
    -------
    Recorded
        Keys and second moment of ``encoder.layer.{layer}.output.dense``.

    Raises
    ------
    RangeError, ModelError, IntegrityError
        As for `minilm_keys`.
    StoreError
        The folder cannot be written.
    """
    asked = json.dumps([MINILM_SHA256, source_hash(models), layer, asdict(prompts)], ensure_ascii=False)
    stem = f"minilm-{layer}-{prompts.name}-{hashlib.sha256(asked.encode()).hexdigest()[:16]}"
    if (kept := _kept(folder, stem)) is None:
        as_count(layer, "layers", low=0, high=MINILM_LAYERS - 1)
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        # Of the processes of a sweep one records the keys; the others wait, and find them.
        with held(folder / f".{stem}.lock", wait=True):
            if (kept := _kept(folder, stem)) is None:
                kept = _record(layer, prompts, device, report)
                save_whole(folder, stem, kept)
    return _recorded(prompts.name, kept)


def _kept(folder: Path, stem: str) -> dict[str, Tensor] | None:
    found = (load_whole(path) for path in folder.glob(f"{stem}-*.safetensors"))
    return next((tensors for tensors in found if tensors is not None), None)


def _record(layer: int, prompts: PromptSet, device: str, report: Report) -> dict[str, Tensor]:
    def keys(what: str, pairs: list[tuple[str, str]]) -> Tensor:
        watch = _told(report, what)
        return minilm_subject_keys(layer, pairs, device=device, progress=watch).T.contiguous()

    C0, samples = minilm_second_moment(
        layer, prompts.background, device=device, progress=_told(report, "second moment C0")
    )
    return {
        "keys": keys("keys", [(prompt.text, prompt.subject) for prompt in prompts.prompts]),
        "paraphrases": keys(
            "paraphrases", [(prompt.paraphrase, prompt.subject) for prompt in prompts.prompts]
        ),
        "preserved": keys("preserved keys", list(prompts.preserved)),
        "second_moment": C0,
        "samples": torch.tensor(samples),
    }


def _told(report: Report, what: str) -> Callable[[int, int], None]:
    return lambda done, total: report(what, done, total)


def _recorded(name: str, tensors: Mapping[str, Tensor]) -> Recorded:
    matrices = {key: tensor.cpu() for key, tensor in tensors.items() if key != "samples"}
    return Recorded(name, samples=int(tensors["samples"]), **matrices)


def minilm_weight(layer: int) -> Float[Tensor, "n d"]:
    """W of ``encoder.layer.{layer}.output.dense``, (384, 1536).

    Parameters
    ----------
    layer
        One of the layers 0 to 5.

    Returns
    -------
    Tensor
        Float32.

    Raises
    ------
    ModelError, IntegrityError
        As for `load_layer`.
    """
    return torch.as_tensor(load_layer("minilm", f"encoder.layer.{layer}.output.dense.weight"))


def like_recorded(
    W: Float[Tensor, "n d"], recorded: Recorded, *, edits: int, order: str, seed: int, noise: float
) -> EditStream:
    """Gaussian keys with the second moment of recorded ones: as many facts as edits, or two.

    Parameters
    ----------
    W
        Weights before any edit.
    recorded
        Whose second moment.
    edits, order, seed, noise
        As in `make_stream`.

    Returns
    -------
    EditStream
        Keys in float32, values in the dtype of W.
    """
    facts = _facts(edits)
    white = Synthetic(spectrum="flat", seed=seed).draw(facts + PRESERVED, W.shape[1])
    keys = coloured(white, recorded.second_moment).to(W.device)
    del white  # as large as the keys, and the stream is yet to be made
    return make_stream(
        W,
        keys[:facts],
        keys[facts:],
        noise=noise or 0.1,
        edits=edits,
        order=order,
        seed=seed,
        record={"source": "gaussian", "second_moment": recorded.name, "noise": noise or 0.1},
    )


def synthetic_host(
    W: Float[Tensor, "n d"], source: Synthetic, *, edits: int, order: str, seed: int, noise: float
) -> tuple[LayerMemory, EditStream]:
    """A layer under synthetic keys: C0 is exactly that of their distribution.

    Parameters
    ----------
    W
        Weights before any edit.
    source
        The keys.
    edits, order, seed, noise
        As in `make_stream`.

    Returns
    -------
    memory, stream
        Keys in float32, everything else in the dtype of W.
    """
    facts = _facts(edits)
    keys = source.draw(facts + PRESERVED, W.shape[1]).to(W.device)
    stream = make_stream(
        W,
        keys[:facts],  # of orthonormal keys the first d are one set
        keys[facts:],
        noise=noise or 0.1,
        edits=edits,
        order=order,
        seed=seed,
        record={"source": source.kind, **asdict(source), "noise": noise or 0.1},
    )
    return LayerMemory(W, source.second_moment(W.shape[1]).to(W.device)), stream


def random_weight(n: int, d: int, *, seed: int) -> Float[Tensor, "n d"]:
    """Gaussian weights with rows of length about 1, float32: a synthetic layer.

    Parameters
    ----------
    n, d
        Shape.
    seed
        Of the draw: another one than that of `Synthetic` keys with the same seed.

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
