"""What a model's layer was asked about: recorded keys, and streams of edits made of them.

Recorded keys take a model some time; they are kept in a folder under the hash of all they depend on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.files import kept_once
from sphere_theory.hosts.base import StreamSpec
from sphere_theory.hosts.edits import EditStream, make_stream
from sphere_theory.hosts.keys import SyntheticKeys, coloured
from sphere_theory.hosts.synthetic import PRESERVED, noisy_stream
from sphere_theory.models.datasets import PromptSet


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a layer was asked about: keys of prompts, and the second moment of a background.

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

    def stream(self, W: Float[Tensor, "n d"], spec: StreamSpec) -> EditStream:
        """A stream of edits of the recorded facts.

        Parameters
        ----------
        W
            Weights before any edit.
        spec
            Which edits: of a random part of the facts if there are more than edits; without noise the
            recorded paraphrases.

        Returns
        -------
        EditStream
            Keys in float32, values in the dtype of W.
        """
        # Those of a smaller stream are a sample, not the beginning of the file.
        chosen = torch.randperm(len(self.keys), generator=torch.Generator().manual_seed(spec.seed))
        chosen = chosen[: spec.facts]
        return make_stream(
            W,
            self.keys[chosen].to(W.device),
            self.preserved.to(W.device),
            paraphrases=None if spec.noise else self.paraphrases[chosen].to(W.device),
            noise=spec.noise or 0.1,
            edits=spec.edits,
            order=spec.order,
            seed=spec.seed,
            record={"source": "recorded", "prompts": self.name, "noise": spec.noise},
        )

    def gaussian_stream(self, W: Float[Tensor, "n d"], spec: StreamSpec) -> EditStream:
        """Gaussian keys with the second moment of the recorded ones: as many facts as edits, or two.

        Parameters
        ----------
        W
            Weights before any edit.
        spec
            Which edits.

        Returns
        -------
        EditStream
            Keys in float32, values in the dtype of W.
        """
        white = SyntheticKeys(spectrum="flat", seed=spec.seed).draw(spec.facts + PRESERVED, W.shape[1])
        drawn = coloured(white, self.second_moment).to(W.device)
        del white  # as large as the keys, and the stream is yet to be made
        return noisy_stream(W, drawn, spec, {"source": "gaussian", "second_moment": self.name})


def recorded_once(
    folder: Path,
    stem: str,
    prompts: PromptSet,
    depends_on: list[object],
    record: Callable[[], Mapping[str, Tensor]],
) -> Recorded:
    """Ask a model, or read what an earlier call kept.

    Parameters
    ----------
    folder
        Where to keep the result; a damaged file is made anew.
    stem
        Beginning of the file's name.
    prompts
        What is asked.
    depends_on
        What else the result depends on, as plain values.
    record
        Asks the model: fields of `Recorded` but the name, samples as a tensor.

    Returns
    -------
    Recorded
        On the CPU.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    asked = json.dumps([*depends_on, asdict(prompts)], ensure_ascii=False)
    stem = f"{stem}-{prompts.name}-{hashlib.sha256(asked.encode()).hexdigest()[:16]}"
    found = kept_once(folder, stem, record)
    matrices = {key: tensor.cpu() for key, tensor in found.items() if key != "samples"}
    return Recorded(prompts.name, samples=int(found["samples"]), **matrices)
