"""Which proofs there are, in the order in which they are read; a module is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # sympy stays out of this import
    from .proof import Proof

# In the order in which they are read: later proofs use the results of earlier ones.
PROOFS: Mapping[str, str] = MappingProxyType({
    "O1": "o1_spectrum",
    "O2": "o2_idempotence",
    "O3": "o3_contraction",
    "O4": "o4_principal_edit",
    "O5": "o5_rank_rules",
    "O6": "o6_energy_not_protected",
    "E1": "e1_invariance",
    "E2": "e2_gradient",
    "E3": "e3_symmetry",
    "E4": "e4_simplex",
    "E5": "e5_uniform",
    "E6": "e6_divergence",
    "E7": "e7_radial",
    "B1": "b1_homogeneity",
    "B2": "b2_inputs",
    "B3": "b3_first_order",
    "B4": "b4_triangle",
    "B5": "b5_certificate",
    "B8": "b8_unconditional",
    "B9": "b9_enclosure",
    "B10": "b10_edit_free",
    "B6": "b6_path",
    "B7": "b7_tightness",
    "M1": "m1_sequential",
    "M2": "m2_projection_order",
    "M3": "m3_rotations",
    "P2": "p2_interference",
})


def prove(claim: str) -> Proof:
    """Return the proof of a claim; its steps are run by whoever reads it.

    Parameters
    ----------
    claim
        One of the keys of `PROOFS`, e.g. "B5".

    Raises
    ------
    KeyError
        When there is no proof of that name.
    """
    return import_module(f".{PROOFS[claim]}", __package__).prove()
