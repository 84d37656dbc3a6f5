"""Written up: what a store says about each question, as Markdown, the same text from the same store.

A section has the question, who asks it, what was found for each host, and what was not tested. Every number
is computed from the store; words around it are chosen by the number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sphere_theory.analysis.runs import gather
from sphere_theory.figures.from_store import hosts
from sphere_theory.study import answers

if TYPE_CHECKING:
    import pandas as pd

    from sphere_theory.streams.store import RunStore

_HEAD = """\
# Findings

Written by `make findings` from a store of runs that `sphere-theory study` filled; not edited by hand.
Intervals are 95%, over seeds (Student's t) where nothing else is said, or from resampling whole runs.
Hosts are single layers: nothing here is about the text that a language model writes.
"""
