"""The claims about hyperspherical energy and SPHERE, one claim a module, each readable as a proof.

`python -m proofs` runs all of them and prints them step by step; `python -m proofs O2 B5` only those.
"""

from proofs.registry import PROOFS, prove

__all__ = ["PROOFS", "prove"]
