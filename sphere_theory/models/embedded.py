"""Models that need no download from a hub, by the names that commands call them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sphere_theory.models.minilm import minilm_folder

# Name: where its files are, checked.
EMBEDDED: Mapping[str, Callable[[], Path]] = {"minilm": minilm_folder}
