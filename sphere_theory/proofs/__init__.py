"""The claims about hyperspherical energy and SPHERE, one claim a module, each readable as a proof.

`python -m sphere_theory.proofs` runs all of them and prints them step by step; with names such as O2 B5 only
those.
"""

from .registry import PROOFS, prove

__all__ = ["PROOFS", "prove"]
