"""Proofs in Coq, checked by its kernel: `python -m proofs.kernel` prints what is proved and checks it."""

from proofs.kernel.check import KernelOutcome, TheoremOutcome, check_kernel
from proofs.kernel.statements import KERNEL_PROOFS, KernelProof, KernelTheorem
from proofs.kernel.symbols import SYMBOLS, Symbol

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
