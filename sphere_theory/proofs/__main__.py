"""Print the proofs: `python -m sphere_theory.proofs [ID ...]`.

Exit status: 0 every step holds, 1 a step failed, 2 an unknown name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

from . import PROOFS, prove
from .page import asked, wrapped
from .proof import Outcome, Proof


def main(
    argv: Sequence[str] | None = None,
    *,
    registry: Mapping[str, object] = PROOFS,
    find: Callable[[str], Proof] = prove,
    write: Callable[[str], object] | None = None,
) -> int:
    """Run and print the named proofs, or all of them.

    Parameters
    ----------
    argv
        Names of claims; the command line's when absent.
    registry
        Known names, in printing order.
    find
        Returns the proof of a name.
    write
        Where the text goes; standard output when absent.
    """
    write = write or sys.stdout.write
    names = asked(argv, registry, __doc__, write)
    return names if isinstance(names, int) else _print_all([find(name) for name in names], write)


def _print_all(proofs: Sequence[Proof], write: Callable[[str], object]) -> int:
    start = perf_counter()
    failed = [name for proof in proofs for name in _print_proof(proof, write)]
    steps = sum(len(proof.steps) for proof in proofs)
    write(f"{len(proofs)} proof{'s' * (len(proofs) != 1)}, {steps} steps, {perf_counter() - start:.1f} s. ")
    write(f"FAILED: {', '.join(failed)}\n" if failed else "Every step is established.\n")
    return 1 if failed else 0


def _print_proof(proof: Proof, write: Callable[[str], object]) -> list[str]:
    """Print one proof as its steps are run; return the names of those that failed."""
    write(f"{proof.id}. {proof.title}\n{'─' * (len(proof.id) + 2 + len(proof.title))}\n")
    write(wrapped(f"Theorem. {proof.theorem}", 2, 2) + "\n\n")
    failed = []
    for number, outcome in enumerate(proof.run(), 1):
        write(_step(number, outcome))
        failed += [] if outcome.holds else [f"{proof.id} step {number} ({outcome.step.name})"]
    ending = "The proof is not complete." if failed else f"{proof.conclusion}  ∎"
    write("\n" + wrapped(ending, 2, 2) + "\n\n\n")
    return failed


def _step(number: int, outcome: Outcome) -> str:
    step = outcome.step
    mark = "✓" if outcome.holds else f"✗ {outcome.reason}"
    head = wrapped(f"{number}. {step.name}  [{step.scope}]", 4 - (number > 9), 8)
    return f"{head}\n{wrapped(f'{step.statement}   {mark}', 8, 8)}\n"


if __name__ == "__main__":
    sys.exit(main())
