"""Models of a hub, played by folders: what is fetched, and what is said of what cannot be."""

from __future__ import annotations

import sys

import huggingface_hub
import pytest
import torch
from checkpoint_factory import DOWN, UP, as_bin_folder, as_folder, as_shards, matrix
from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors.torch import save_file

from sphere_theory.errors import ModelError
from sphere_theory.models.weights import load_layer, open_checkpoint


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub of folders under tmp_path/hub; the files that were fetched, in order."""
    root, fetched = tmp_path / "hub", []

    def download(repo_id: str, filename: str) -> str:
        fetched.append(filename)
        repo = root / repo_id
        if not repo.is_dir():
            raise missing(RepositoryNotFoundError, f"401 Client Error.\n\nRepository Not Found for {repo_id}")
        if not (repo / filename).is_file():
            raise missing(EntryNotFoundError, f"404 Client Error: {filename}")
        return str(repo / filename)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return root, fetched


def missing(kind: type[Exception], text: str) -> Exception:
    # The hub's errors want a response in some versions of the client; the tests need class and text only.
    error = kind.__new__(kind)
    Exception.__init__(error, text)
    return error


def test_a_hub_id_fetches_one_file(hub, tensors):
    root, fetched = hub
    (root / "org/small").mkdir(parents=True)
    as_folder(tensors, root / "org/small")
    assert torch.equal(load_layer("org/small", DOWN), tensors[DOWN])
    assert fetched == ["model.safetensors"]


def test_a_sharded_hub_model_fetches_the_index_and_the_one_shard(hub, tensors):
    root, fetched = hub
    (root / "org/large").mkdir(parents=True)
    as_shards(tensors, root / "org/large")
    checkpoint = open_checkpoint("org/large")
    assert checkpoint.names == ("h.0.down.weight", "h.0.up.bias", "h.0.up.weight")
    assert torch.equal(checkpoint.matrix(DOWN), tensors[DOWN])
    checkpoint.matrix(DOWN)
    assert fetched == [
        "model.safetensors",
        "model.safetensors.index.json",
        "model-00002-of-00003.safetensors",
    ]


def test_gpt2_from_the_hub_is_turned_by_its_config(hub):
    root, fetched = hub
    (root / "gpt2").mkdir(parents=True)
    save_file({"h.0.attn.c_proj.weight": matrix(4, 4)}, root / "gpt2/model.safetensors")
    (root / "gpt2/config.json").write_text('{"model_type": "gpt2"}')
    assert torch.equal(load_layer("gpt2", "h.0.attn.c_proj.weight"), matrix(4, 4).T)
    assert fetched == ["model.safetensors", "config.json"]


def test_pickles_on_the_hub_are_the_last_resort(hub, tensors):
    root, fetched = hub
    (root / "org/old").mkdir(parents=True)
    as_bin_folder(tensors, root / "org/old")
    assert torch.equal(load_layer("org/old", UP), tensors[UP])
    assert fetched == ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"]


def test_a_hub_repository_that_is_not_there(hub):
    with pytest.raises(
        ModelError, match=r"'org/nothing' \(model\.safetensors\): RepositoryNotFoundError: 401"
    ):
        load_layer("org/nothing", UP)


def test_a_hub_repository_without_weights_names_what_was_tried(hub):
    root, _ = hub
    (root / "org/empty").mkdir(parents=True)
    expected = (
        r"expected model\.safetensors, model\.safetensors\.index\.json, pytorch_model\.bin or "
        r"pytorch_model\.bin\.index\.json in hub repository 'org/empty', got none of them$"
    )
    with pytest.raises(ModelError, match=expected):
        load_layer("org/empty", UP)


def test_a_shard_that_the_hub_lacks(hub, tensors):
    root, _ = hub
    (root / "org/torn").mkdir(parents=True)
    as_shards(tensors, root / "org/torn")
    (root / "org/torn/model-00002-of-00003.safetensors").unlink()
    assert torch.equal(load_layer("org/torn", UP), tensors[UP])
    with pytest.raises(
        ModelError, match=r"model-00002-of-00003\.safetensors, which .* got no such file in hub"
    ):
        load_layer("org/torn", DOWN)


@pytest.mark.parametrize("error", [LocalEntryNotFoundError, OSError, RuntimeError])
def test_a_hub_out_of_reach_is_a_model_error(monkeypatch, error):
    def download(repo_id: str, filename: str) -> str:
        raise missing(error, "the network is down")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(ModelError, match=f"'org/name'.*{error.__name__}: the network is down"):
        load_layer("org/name", UP)


def test_the_real_client_offline_finds_what_is_cached_and_nothing_else(monkeypatch, tmp_path, tensors):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repo, commit = tmp_path / "models--org--cached", "a" * 40
    (repo / "refs").mkdir(parents=True)
    (repo / "refs/main").write_text(commit)
    (repo / "snapshots" / commit).mkdir(parents=True)
    as_shards(tensors, repo / "snapshots" / commit)
    assert torch.equal(load_layer("org/cached", UP), tensors[UP])
    with pytest.raises(
        ModelError, match=r"hub repository 'org/absent', got none of them \(LocalEntryNotFound"
    ):
        load_layer("org/absent", UP)


def test_a_hub_id_without_the_client_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"pip install 'sphere-theory\[models\]', got 'org/name' without it"):
        load_layer("org/name", UP)
