"""Experiments that say where they ran; in a module of their own, which workers can import."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sphere_theory.errors import RangeError
from sphere_theory.experiments.base import Experiment

BROKEN = "broken\nin two lines"


@dataclass(frozen=True)
class Told(Experiment):
    """Writes who computed it into a log, so that a second time shows."""

    value: float = 1.0
    log: str = ""

    name: ClassVar[str] = "told"

    def rows(self, folder: Path) -> list[dict[str, Any]]:
        if self.value < 0:
            raise RangeError("value", "a number that is not negative", f"{self.value}")
        if self.value == 0:
            raise OSError(BROKEN)
        with Path(self.log).open("a") as log:
            log.write(f"{self}\n")
        return [{"twice": 2 * self.value, "process": os.getpid(), "keys": str(folder)}]


@dataclass(frozen=True)
class ToldAlone(Told):
    """The same with the machine for itself."""

    name: ClassVar[str] = "told-alone"
    alone: ClassVar[bool] = True
