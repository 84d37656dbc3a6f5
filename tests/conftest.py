"""Type and shape checks for the whole package, Hypothesis profiles, and what a test may need."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import jaxtyping
import pytest
import torch
from hypothesis import settings

if TYPE_CHECKING:
    from workers import Workers

# Before anything imports the package. int for float is fine: that is what the annotation means (PEP 484).
# Not the proofs: sympy's matrices and numbers are of many types that act alike.
PACKAGE = Path(__file__).parents[1] / "sphere_theory"
CHECKED = [f"{PACKAGE.name}.{path.stem}" for path in sorted(PACKAGE.iterdir()) if path.stem != "proofs"]
jaxtyping.install_import_hook(CHECKED, "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

settings.register_profile("ci", derandomize=True, deadline=None, database=None, max_examples=25)
settings.register_profile("deep", deadline=None, database=None, max_examples=2500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

MEMORY = Path("/dev/shm")


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let arguments of the wrong type through to the package's own checks, as for its users."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def cuda() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device; torch sees none")
    return torch.device("cuda")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SPHERE_THEORY_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"needs the evaluation data: no folder {folder} (SPHERE_THEORY_DATA names another)")
    return folder


@pytest.fixture(scope="session")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Generator[Workers]:
    """Two worker processes; a test that kills one starts another."""
    from workers import Workers

    started = Workers(tmp_path_factory.mktemp("workers"))
    yield started
    started.stop()


def _parent() -> str | None:
    """In memory, where syncing hundreds of small files takes no time; a kill leaves them as on a disk."""
    return str(MEMORY) if MEMORY.is_dir() else None


@pytest.fixture
def folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(dir=_parent()) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def shared_folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(dir=_parent()) as name:
        yield Path(name)
