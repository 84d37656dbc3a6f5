"""Proofs in Coq, checked by its kernel; `python -m sphere_theory.proofs.kernel` prints what is proved."""

from .check import KernelOutcome, TheoremOutcome, check_kernel
from .statements import KERNEL_PROOFS, KernelProof, KernelTheorem
from .symbols import SYMBOLS, Symbol

__all__ = [
    "KERNEL_PROOFS",
    "SYMBOLS",
    "KernelOutcome",
    "KernelProof",
    "KernelTheorem",
    "Symbol",
    "TheoremOutcome",
    "check_kernel",
]
