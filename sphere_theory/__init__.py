"""Checks what hyperspherical energy says about sequential model editing (SPHERE, arXiv 2510.01172).

A layer is a set of n neurons on a sphere, an edit moves them, and everything the paper claims is
a statement about that motion. Symbols are those of the paper: W is (n, d), one neuron per row; ΔW an
edit; P = I − αUUᵀ SPHERE's operator on its right.

>>> import numpy as np
>>> W = np.random.default_rng(0).normal(size=(64, 32))
>>> round(energy(W, reduction="uniform"), 2)  # 1 is what independent uniform directions have
1.0
"""

from sphere_theory.analysis.probe import probe_bound
from sphere_theory.bound import BoundAudit, BoundCheck, audit_bound
from sphere_theory.constants import bound_constant
from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.control import Control
from sphere_theory.editing.emmet import Emmet
from sphere_theory.editing.encore import Encore
from sphere_theory.editing.evoedit import EvoEdit
from sphere_theory.editing.finetune import FineTune
from sphere_theory.editing.memit import Memit
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.mose import Mose, MoseRight
from sphere_theory.editing.nas import Nas
from sphere_theory.editing.problem import EditBatch, Editor, LayerMemory, Step
from sphere_theory.editing.prune import Prune
from sphere_theory.editing.rect import Rect
from sphere_theory.editing.revive import Revive
from sphere_theory.editing.rlsedit import RlsEdit
from sphere_theory.editing.rome import Rome
from sphere_theory.editing.sphere import Sphere
from sphere_theory.enclosure import Interval, enclose_change, largest_change
from sphere_theory.energy import (
    Estimate,
    energy,
    energy_estimate,
    energy_gradient,
    simplex_energy,
    uniform_energy,
)
from sphere_theory.errors import InputError, SphereTheoryError
from sphere_theory.gram import GramTracker
from sphere_theory.models.activations import second_moment
from sphere_theory.models.weights import load_layer
from sphere_theory.motion import EnergyChange, energy_change
from sphere_theory.neurons import Separation, min_separation
from sphere_theory.projection import NormMatchedShrinkage, SparseProjector
from sphere_theory.spectrum import (
    PrincipalSpace,
    Subspace,
    bottom_space,
    principal_space,
    random_space,
)
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.runner import run_stream
from sphere_theory.streams.sources import EditStream
from sphere_theory.streams.store import RunStore
from sphere_theory.updates import LowRankUpdate

__version__ = "0.1.0"

__all__ = [
    "AlphaEdit",
    "BoundAudit",
    "BoundCheck",
    "Control",
    "EditBatch",
    "EditStream",
    "Editor",
    "Emmet",
    "Encore",
    "EnergyChange",
    "Estimate",
    "EvoEdit",
    "FineTune",
    "GramTracker",
    "InputError",
    "Interval",
    "LayerMemory",
    "LowRankUpdate",
    "Measures",
    "Memit",
    "MemitSequential",
    "Mose",
    "MoseRight",
    "Nas",
    "NormMatchedShrinkage",
    "PrincipalSpace",
    "Prune",
    "Rect",
    "Revive",
    "RlsEdit",
    "Rome",
    "RunStore",
    "Separation",
    "SparseProjector",
    "Sphere",
    "SphereTheoryError",
    "Step",
    "Subspace",
    "__version__",
    "audit_bound",
    "bottom_space",
    "bound_constant",
    "enclose_change",
    "energy",
    "energy_change",
    "energy_estimate",
    "energy_gradient",
    "largest_change",
    "load_layer",
    "min_separation",
    "principal_space",
    "probe_bound",
    "random_space",
    "run_stream",
    "second_moment",
    "simplex_energy",
    "uniform_energy",
]
