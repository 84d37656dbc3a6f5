"""Which proofs there are, in the order in which they are read; a module is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # sympy stays out of this import
    from proofs.proof import Proof

# In the order in which they are read: later proofs use the results of earlier ones.
PROOFS: Mapping[str, str] = MappingProxyType({
    "O1": "proofs.o1_spectrum",
    "O2": "proofs.o2_idempotence",
    "O3": "proofs.o3_contraction",
    "O4": "proofs.o4_principal_edit",
    "O5": "proofs.o5_rank_rules",
    "O6": "proofs.o6_energy_not_protected",
    "E1": "proofs.e1_invariance",
    "E2": "proofs.e2_gradient",
    "E3": "proofs.e3_symmetry",
    "E4": "proofs.e4_simplex",
    "E5": "proofs.e5_uniform",
    "E6": "proofs.e6_divergence",
    "E7": "proofs.e7_radial",
    "B1": "proofs.b1_homogeneity",
    "B2": "proofs.b2_inputs",
    "B3": "proofs.b3_first_order",
    "B4": "proofs.b4_triangle",
    "B5": "proofs.b5_certificate",
    "B8": "proofs.b8_unconditional",
    "B9": "proofs.b9_enclosure",
    "B10": "proofs.b10_edit_free",
    "B6": "proofs.b6_path",
    "B7": "proofs.b7_tightness",
    "M1": "proofs.m1_sequential",
    "M2": "proofs.m2_projection_order",
    "M3": "proofs.m3_rotations",
    "P2": "proofs.p2_interference",
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
    return import_module(PROOFS[claim]).prove()
