"""Proofs in Coq, checked by its kernel: `python -m proofs.kernel` prints what is proved and checks it."""

from proofs.kernel.check import KernelOutcome, TheoremOutcome, check_kernel
from proofs.kernel.statements import KERNEL_PROOFS, SYMBOLS, KernelProof, KernelTheorem, Symbol

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
