"""Check the proofs in Coq and print what they prove: `python -m sphere_theory.proofs.kernel [ID ...]`.

Exit status: 0 proved, or not checked because there is no kernel here; 1 a proof failed; 2 an unknown name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

from sphere_theory.proofs.page import asked, wrapped

from .check import ALLOWED, KernelOutcome, check_kernel
from .statements import KERNEL_PROOFS, KernelProof
from .symbols import SYMBOLS


def main(
    argv: Sequence[str] | None = None,
    *,
    check: Callable[[str], KernelOutcome] = check_kernel,
    write: Callable[[str], object] | None = None,
) -> int:
    """Check and print the named claims, or all of them.

    Parameters
    ----------
    argv
        Names of claims; the command line's when absent.
    check
        Returns what the kernel says of a claim.
    write
        Where the text goes; standard output when absent.
    """
    write = write or sys.stdout.write
    names = asked(argv, KERNEL_PROOFS, __doc__, write, "proof in Coq")
    if isinstance(names, int):
        return names
    write(symbol_table())
    outcomes = [check(name) for name in names]
    for outcome in outcomes:
        write("".join(f"{line}\n" for line in _page(KERNEL_PROOFS[outcome.claim], outcome)))
    for outcome in outcomes:
        write(f"{outcome.claim}: {outcome.verdict}\n")
    return int(any(outcome.status == "failed" for outcome in outcomes))


def symbol_table() -> str:
    """Every notion in Coq, beside the ledger's symbol and its definition in words."""
    name = max(len(symbol.name) for symbol in SYMBOLS)
    ledger = max(len(symbol.ledger) for symbol in SYMBOLS)
    title = "Symbol by symbol: Coq | ledger | in words; under it the definition that the kernel is given"
    lines = [wrapped(title, 0), ""]
    for symbol in SYMBOLS:
        row = f"{symbol.name:<{name}} | {symbol.ledger:<{ledger}} | {symbol.words}"
        lines.append(wrapped(row, 2, name + 5))
        lines.append(wrapped(symbol.text, name + 5))
    return "\n".join((*lines, "", ""))


def _page(proof: KernelProof, outcome: KernelOutcome) -> Iterator[str]:
    yield f"{outcome.claim}, in {', '.join(proof.files)}"
    yield wrapped(f"Hypotheses: {proof.hypotheses}.", 2)
    for found in outcome.theorems:
        yield ""
        yield f"  {found.theorem.name}   [{found.status}]"
        yield wrapped(found.theorem.mathematics, 4)
        yield wrapped(found.theorem.text, 6)
    yield ""
    if outcome.assumptions:
        yield "  They rest on:"
    for name in outcome.assumptions:
        yield wrapped(f"{name} ({ALLOWED.get(name, 'NOT ALLOWED')})", 4)
    yield ""


if __name__ == "__main__":
    sys.exit(main())
