"""Tensors out of every kind of storage, only those that are asked for, and nothing else out of it."""

from __future__ import annotations

import json
import os
import pickle
import resource
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_factory import (
    DOWN,
    STORES,
    UP,
    as_file,
    as_folder,
    as_shards,
    matrix,
    raw_safetensors,
)
from safetensors.torch import save_file

from sphere_theory.errors import DTypeError, ModelError
from sphere_theory.models.weights import load_layer, open_checkpoint


@pytest.mark.parametrize("store", STORES)
def test_every_kind_of_storage_gives_back_the_stored_matrix(store, tensors, tmp_path):
    model = store(tensors, tmp_path)
    checkpoint = open_checkpoint(model)
    assert checkpoint.names == ("h.0.down.weight", "h.0.up.bias", "h.0.up.weight")
    assert checkpoint.shape(UP) == (6, 4)
    assert checkpoint.dtype(UP) == "float32"
    assert checkpoint.matrices() == (DOWN, UP)
    assert checkpoint.matrices("*.up.*") == (UP,)
    for name in (UP, DOWN):
        W = load_layer(model, name)
        assert torch.equal(W, tensors[name])
        assert not W.requires_grad


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("layout", ["linear", "conv1d"])
def test_neurons_are_read_alone(store, layout, tensors, tmp_path):
    checkpoint = open_checkpoint(store(tensors, tmp_path), layout)
    for name in (UP, DOWN):
        W = checkpoint.matrix(name)
        assert checkpoint.matrix_shape(name) == tuple(W.shape)
        for start, stop in [(0, len(W)), (1, 3), (2, 3)]:
            part = checkpoint.rows(name, start, stop)
            assert torch.equal(part, W[start:stop])
            assert part.is_contiguous()


def test_neurons_out_of_a_file_too_large_to_read(tmp_path):
    """16 GB, all holes but two rows."""
    n, d, path = 10**6, 4096, tmp_path / "large.safetensors"
    header = {"W": {"dtype": "F32", "shape": [n, d], "data_offsets": [0, 4 * n * d]}}
    raw_safetensors(path, header, b"")
    begin, two = path.stat().st_size, matrix(2, d)
    with path.open("r+b") as file:
        file.truncate(begin + 4 * n * d)
        file.seek(begin + 4 * 500_000 * d)
        file.write(two.numpy().tobytes())
    checkpoint = open_checkpoint(path)
    assert checkpoint.matrix_shape("W") == (n, d)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = checkpoint.rows("W", 499_999, 500_003)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**16  # KiB
    assert torch.equal(found[1:3], two)
    assert not found[[0, 3]].any()


def test_safetensors_are_preferred_to_a_pickle_beside_them(tensors, tmp_path):
    as_folder(tensors, tmp_path)
    torch.save({UP: tensors[UP] + 1}, tmp_path / "pytorch_model.bin")
    assert torch.equal(load_layer(tmp_path, UP), tensors[UP])


def test_a_state_dict_is_not_copied(tensors):
    assert load_layer(tensors, UP).data_ptr() == tensors[UP].data_ptr()


def test_writing_into_what_was_read_leaves_the_file_alone(tensors, tmp_path):
    path = as_file(tensors, tmp_path)
    load_layer(path, UP).zero_()
    assert torch.equal(load_layer(path, UP), tensors[UP])


# Only what is asked for is read.


def test_listing_reads_no_data_and_a_matrix_reads_one_tensor(opened, tensors, tmp_path):
    checkpoint = open_checkpoint(as_file(tensors, tmp_path))
    for name in checkpoint.names:
        checkpoint.shape(name), checkpoint.dtype(name)
    assert [event for event in opened if event[0] == "read"] == []
    checkpoint.matrix(UP)
    assert [event for event in opened if event[0] == "read"] == [("read", UP)]


def test_only_the_shard_that_holds_the_tensor_is_opened(opened, tensors, tmp_path):
    as_shards(tensors, tmp_path)
    checkpoint = open_checkpoint(tmp_path)
    assert opened == []
    checkpoint.matrix(UP)
    assert set(opened) == {("open", "model-00001-of-00003.safetensors"), ("read", UP)}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the process's memory from /proc")
def test_a_large_file_is_not_read_for_a_small_tensor(tmp_path):
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    big, small = 2**31, matrix(4, 3)
    header = {
        "big": {"dtype": "F32", "shape": [big // 4096, 1024], "data_offsets": [0, big]},
        "small": {"dtype": "F32", "shape": [4, 3], "data_offsets": [big, big + 48]},
    }
    path = tmp_path / "large.safetensors"
    raw_safetensors(path, header, b"")
    with path.open("r+b") as file:
        # Seeking past the end leaves a hole: 2 GiB that take no room on the disk.
        file.seek(path.stat().st_size + big)
        file.write(small.numpy().tobytes())
    before = resident()
    W = load_layer(path, "small")
    assert torch.equal(W, small)
    assert resident() - before < 2**27


# What cannot be read or trusted.


class Malice:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".pth"])
@pytest.mark.parametrize("how", ["zip", "old", "raw"])
def test_a_malicious_pickle_is_refused_and_does_not_run(how, suffix, tmp_path):
    mark, path = tmp_path / "mark", tmp_path / f"evil{suffix}"
    payload = {UP: matrix(2, 2), "evil": Malice(mark)}
    if how == "raw":
        path.write_bytes(pickle.dumps(payload, protocol=2))
    else:
        torch.save(payload, path, _use_new_zipfile_serialization=how == "zip")
    with pytest.raises(ModelError, match=r"expected a pickle of tensors and nothing else, got .*evil"):
        load_layer(path, UP)
    assert not mark.exists()
    # The payload is live: an unguarded unpickler runs it.
    pickle.loads(pickle.dumps(Malice(mark)))
    assert mark.exists()


def test_a_refused_pickle_says_what_it_asked_for(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(ModelError, match=r"it asks for torch\.nn\.modules\.linear\.Linear, which is refused"):
        load_layer(tmp_path / "module.pt", "weight")


@pytest.mark.parametrize(
    "shard",
    [
        *("../secret.safetensors", "/etc/secret.safetensors", "a/../../secret.safetensors"),
        *("..\\secret.safetensors", "C:secret.safetensors", "sub/model.safetensors", "..", ""),
        *(".hidden.safetensors", "model.safetensors\n", "model.exe", "model\0.safetensors", None, 7, ["a"]),
    ],
)
def test_an_index_cannot_lead_out_of_its_folder(shard, tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    save_file({UP: matrix(2, 2)}, tmp_path / "secret.safetensors")
    (inside / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {UP: shard}}))
    with pytest.raises(ModelError, match="expected bare names of weight files"):
        load_layer(inside, UP)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"{", "expected a readable JSON file, got .*JSONDecodeError"),
        (b"\xff\xfe\xfa", "expected a readable JSON file, got .*UnicodeDecodeError"),
        (b"[" * 10**6, "expected a readable JSON file, got .*RecursionError"),
        (b"[]", "expected a JSON object in .* got list"),
        (b"{}", "expected a weight_map of names to files in .* got NoneType"),
        (b'{"weight_map": {}}', "expected a weight_map of names to files in .* got dict"),
        (b'{"weight_map": ["a"]}', "expected a weight_map of names to files in .* got list"),
        (b'{"weight_map": {"w": "m.safetensors"}}', r"expected m\.safetensors, which .* got no such file"),
        (
            b'{"weight_map": {"w": "other.safetensors"}}',
            r"expected 'w' in other\.safetensors, .* got 1 other",
        ),
    ],
)
def test_a_broken_index(index, message, tmp_path):
    save_file({"v": matrix(2, 2)}, tmp_path / "other.safetensors")
    (tmp_path / "model.safetensors.index.json").write_bytes(index)
    with pytest.raises(ModelError, match=message):
        load_layer(tmp_path, "w")


def whole(tmp_path: Path) -> bytes:
    save_file({"w": matrix(4, 4)}, tmp_path / "whole.safetensors")
    return (tmp_path / "whole.safetensors").read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:5],
        lambda data: data[:40],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: data.replace(b'"F32"', b'"F99"'),
        lambda data: data.replace(b"[4,4]", b"[4,9]"),
        lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    ],
)
def test_a_damaged_safetensors_file(damage, tmp_path):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(damage(whole(tmp_path)))
    with pytest.raises(
        ModelError, match=r"expected a whole safetensors file, got .*damaged\.safetensors: Safe"
    ):
        load_layer(path, "w")


@pytest.mark.parametrize("content", [b"", b"junkjunk", b"PK\x03\x04 not really"])
def test_a_damaged_pickle(content, tmp_path):
    (tmp_path / "damaged.bin").write_bytes(content)
    with pytest.raises(
        ModelError, match=r"expected a pickle of tensors and nothing else, got .*damaged\.bin: \w+"
    ):
        load_layer(tmp_path / "damaged.bin", "w")


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (torch.ones(2, 2), "got Tensor$"),
        ({}, "got dict with keys $"),
        ({"w": torch.ones(2, 2), "epoch": 3}, "got dict with keys 'w', 'epoch'$"),
        ({1: torch.ones(2, 2)}, "got dict with keys 1$"),
        ({"state_dict": {"w": torch.ones(2, 2), "epoch": 3}}, "got dict with keys 'state_dict'$"),
        ({"state_dict": {"w": torch.ones(2, 2)}, "model": {"w": torch.ones(2, 2)}}, "got two of them$"),
    ],
)
def test_a_pickle_of_something_else(content, got, tmp_path):
    torch.save(content, tmp_path / "content.pt")
    with pytest.raises(ModelError, match=f"expected one dict of names to tensors in .*{got}"):
        load_layer(tmp_path / "content.pt", "w")


def test_tensors_that_are_not_dense_or_not_there():
    with pytest.raises(ModelError, match="expected numbers in 'w', got a tensor on the meta device"):
        load_layer({"w": torch.ones(2, 2, device="meta")}, "w")
    with pytest.raises(DTypeError, match=r"expected a dense tensor, got layout torch\.sparse_coo"):
        load_layer({"w": torch.eye(2).to_sparse()}, "w")
    with pytest.raises(DTypeError, match="got dtype object"):
        load_layer({"w": np.array([[None]])}, "w")


def test_a_file_of_another_kind_and_a_folder_without_weights(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"a \.safetensors, \.bin, \.pt or \.pth file, got .*model\.gguf"):
        load_layer(tmp_path / "model.gguf", "w")
    with pytest.raises(ModelError, match=r"in folder .* got none of them"):
        load_layer(tmp_path, "w")


def test_several_files_without_an_index_are_not_guessed_between(tmp_path):
    for name in ("a", "b"):
        save_file({"w": matrix(2, 2)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(ModelError, match=r"got 2 \.safetensors files and no index; pass one of them"):
        load_layer(tmp_path, "w")
