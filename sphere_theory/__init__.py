"""Checks what hyperspherical energy says about sequential model editing (SPHERE, arXiv 2510.01172).

A layer is a set of n neurons on a sphere, an edit moves them, and everything the paper claims is
a statement about that motion. Symbols are those of the paper: W is (n, d), one neuron per row; ΔW an
edit; P = I − αUUᵀ SPHERE's operator on its right.

>>> import numpy as np
>>> W = np.random.default_rng(0).normal(size=(64, 32))
>>> round(energy(W, reduction="uniform"), 2)  # 1 is what independent uniform directions have
1.0
"""

from sphere_theory.bound import BoundAudit, BoundCheck, audit_bound
from sphere_theory.constants import bound_constant
from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.control import Control
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.emmet import Emmet
from sphere_theory.editing.encore import Encore
from sphere_theory.editing.evoedit import EvoEdit
from sphere_theory.editing.finetune import FineTune
from sphere_theory.editing.memit import Memit
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.mose import Mose, MoseRight
from sphere_theory.editing.nas import Nas
from sphere_theory.editing.problem import EditBatch, LayerMemory, Step
from sphere_theory.editing.prune import Prune
from sphere_theory.editing.rect import Rect
from sphere_theory.editing.revive import Revive
from sphere_theory.editing.rlsedit import RlsEdit
from sphere_theory.editing.rome import Rome
from sphere_theory.editing.sphere import Sphere
from sphere_theory.enclosure import Interval, enclose_change, largest_change
from sphere_theory.energy import energy, energy_gradient, simplex_energy, uniform_energy
from sphere_theory.energy_estimate import Estimate, energy_estimate
from sphere_theory.errors import InputError, SphereTheoryError
from sphere_theory.experiments.layers import LayerRow, describe_layers
from sphere_theory.experiments.probe import probe_bound
from sphere_theory.gram import GramTracker
from sphere_theory.hosts.base import Edits, Host, StreamSpec
from sphere_theory.hosts.checkpoint import CheckpointLayer
from sphere_theory.hosts.edits import EditStream, make_stream
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.hosts.registry import make_host
from sphere_theory.hosts.synthetic import SyntheticLayer
from sphere_theory.models.moments import second_moment
from sphere_theory.models.weights import Checkpoint, load_layer, open_checkpoint
from sphere_theory.motion import EnergyChange, energy_change
from sphere_theory.projection import NormMatchedShrinkage, SparseProjector
from sphere_theory.separation import Separation, min_separation
from sphere_theory.spectrum import (
    PrincipalSpace,
    Subspace,
    bottom_space,
    principal_space,
    random_space,
)
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.runner import run_stream
from sphere_theory.streams.store import RunStore
from sphere_theory.updates import LowRankUpdate

__version__ = "0.1.0"

__all__ = [
    "AlphaEdit",
    "BoundAudit",
    "BoundCheck",
    "Checkpoint",
    "CheckpointLayer",
    "Control",
    "EditBatch",
    "EditStream",
    "Editor",
    "Edits",
    "Emmet",
    "Encore",
    "EnergyChange",
    "Estimate",
    "EvoEdit",
    "FineTune",
    "GramTracker",
    "Host",
    "InputError",
    "Interval",
    "LayerMemory",
    "LayerRow",
    "LowRankUpdate",
    "Measures",
    "Memit",
    "MemitSequential",
    "MiniLM",
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
    "StreamSpec",
    "Subspace",
    "SyntheticLayer",
    "__version__",
    "audit_bound",
    "bottom_space",
    "bound_constant",
    "describe_layers",
    "enclose_change",
    "energy",
    "energy_change",
    "energy_estimate",
    "energy_gradient",
    "largest_change",
    "load_layer",
    "make_host",
    "make_stream",
    "min_separation",
    "open_checkpoint",
    "principal_space",
    "probe_bound",
    "random_space",
    "run_stream",
    "second_moment",
    "simplex_energy",
    "uniform_energy",
]
