"""Hands the proofs in Coq to its kernel, and says what came of it: proved, failed, or not checked here."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from types import MappingProxyType
from typing import Literal, TypeAlias

from .statements import FILES, FOLDER, KERNEL_PROOFS, LIBRARY, KernelTheorem
from .symbols import SYMBOLS

Status: TypeAlias = Literal["proved", "failed", "not checked"]

TIMEOUT = 600.0  # seconds
# What Coq's real numbers rest on, and what the definitions of ln and acos in its standard library add.
ALLOWED: Mapping[str, str] = MappingProxyType({
    "ClassicalDedekindReals.sig_forall_dec": "reals: whether decidable facts all hold is decidable",
    "ClassicalDedekindReals.sig_not_dec": "reals: whether P is false is decidable",
    "FunctionalExtensionality.functional_extensionality_dep": "reals: functions of equal values are equal",
    "Classical_Prop.classic": "P or not P: the standard library defines ln and acos with it, by way "
    "of its mean value theorem, so that no statement about them does without",
})
# What has to load before anything of ours is compiled.
PROBE = "From Coq Require Import Reals Lra Lia Psatz.\n"


@dataclass(frozen=True)
class TheoremOutcome:
    """What the kernel says of one theorem.

    Parameters
    ----------
    theorem
        The one that was checked.
    status
        "proved" only if the kernel accepts it as it is displayed, and it rests on nothing but `ALLOWED`.
    reason
        Why not, when it is not proved.
    assumptions
        What `Print Assumptions` lists, in its order.
    """

    theorem: KernelTheorem
    status: Status
    reason: str = ""
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class KernelOutcome:
    """What the kernel says of all the theorems of one claim.

    Parameters
    ----------
    claim
        Its name in the ledger, e.g. "B8".
    status
        "proved" if all of them are, "failed" if one fails, "not checked" if there is no kernel here.
    reason
        Why not, when it is not "proved".
    theorems
        One outcome a theorem.
    version
        Of Coq; empty where there is none.
    seconds
        Wall-clock time of compiling and checking all files, of which a claim needs some.
    """

    claim: str
    status: Status
    reason: str
    theorems: tuple[TheoremOutcome, ...]
    version: str
    seconds: float

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What its theorems rest on together."""
        return tuple(dict.fromkeys(name for outcome in self.theorems for name in outcome.assumptions))

    @property
    def verdict(self) -> str:
        """One line for a person."""
        if self.status == "not checked":
            return f"kernel proof not checked here: {self.reason}"
        if self.status == "failed":
            return f"kernel proof FAILED (Coq {self.version}): {self.reason}"
        count = f"{len(self.theorems)} theorem{'s' * (len(self.theorems) != 1)}"
        return f"proved by the kernel of Coq {self.version}: {count}; all files {self.seconds:.1f} s"


@dataclass(frozen=True)
class _Compiled:
    """What came of every theorem of a folder; `missing` says why there was nothing to check with."""

    outcomes: Mapping[str, TheoremOutcome]
    version: str
    seconds: float
    missing: str = ""


def check_kernel(claim: str, *, folder: Path = FOLDER, timeout: float = TIMEOUT) -> KernelOutcome:
    """Check the kernel proof of a claim.

    The sources are compiled in a temporary folder, once a process; nothing is written beside them.

    Parameters
    ----------
    claim
        One of the keys of `KERNEL_PROOFS`.
    folder
        Where the .v files are.
    timeout
        Seconds for all files together; a proof that takes longer counts as failed.

    Raises
    ------
    KeyError
        When the kernel proves nothing of that claim.
    """
    theorems = KERNEL_PROOFS[claim].theorems
    sources = tuple((name, (folder / f"{name}.v").read_text(encoding="utf-8")) for name in FILES)
    compiled = _compile(shutil.which("coqc"), sources, timeout)
    if compiled.missing:
        unknown = tuple(TheoremOutcome(theorem, "not checked", compiled.missing) for theorem in theorems)
        return KernelOutcome(
            claim, "not checked", compiled.missing, unknown, compiled.version, compiled.seconds
        )
    outcomes = tuple(compiled.outcomes[theorem.name] for theorem in theorems)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    reason = "; ".join(f"{outcome.theorem.name}: {outcome.reason}" for outcome in failed)
    status: Status = "failed" if failed else "proved"
    return KernelOutcome(claim, status, reason, outcomes, compiled.version, compiled.seconds)


@lru_cache(maxsize=8)
def _compile(coqc: str | None, sources: tuple[tuple[str, str], ...], timeout: float) -> _Compiled:
    start = monotonic()
    if coqc is None:
        return _Compiled({}, "", 0.0, "coqc is not installed")
    with TemporaryDirectory(prefix="kernel-") as name:
        kernel = _Coqc(coqc, Path(name), start + timeout)
        version = kernel.version()
        if kernel("probe", PROBE)[1]:
            return _Compiled(
                {}, version, monotonic() - start, "coqc does not load its library of real numbers"
            )
        outcomes = _check_sources(kernel, sources)
    return _Compiled(outcomes, version, monotonic() - start)


class _Coqc:
    """coqc in a folder of its own, until a deadline."""

    def __init__(self, path: str, folder: Path, deadline: float) -> None:
        self._path, self._folder, self._deadline = path, folder, deadline

    def __call__(self, name: str, text: str) -> tuple[str, str]:
        """Compile one file; return what it prints and, unless it is accepted, why not."""
        (self._folder / f"{name}.v").write_text(text, encoding="utf-8")
        ran = self._run("-q", "-Q", ".", LIBRARY, f"{name}.v")
        if ran is None:
            return "", "coqc had not finished when its time was over"
        return ran.stdout, "" if ran.returncode == 0 else " ".join(ran.stderr.split()) or "coqc says no more"

    def version(self) -> str:
        """What it calls itself, e.g. "8.16.1"."""
        ran = self._run("--version")
        found = re.search(r"version (\S+)", ran.stdout if ran else "")
        return found.group(1) if found else "of unknown version"

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str] | None:
        try:
            return subprocess.run(
                (self._path, *arguments),
                cwd=self._folder,
                timeout=max(self._deadline - monotonic(), 0.0),
                capture_output=True,
                text=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None


def _check_sources(kernel: _Coqc, sources: tuple[tuple[str, str], ...]) -> dict[str, TheoremOutcome]:
    """Compile the sources in order, then have their theorems accepted as they are displayed."""
    errors: dict[str, str] = {}
    for name, text in sources:
        errors[name] = _inherited(text, errors) or _error(name, kernel(name, text)[1])
    theorems = _theorems_by_file()
    intact = [file for file in theorems if not errors[file]]
    reason, assumptions = _accepted(kernel, {file: theorems[file] for file in intact})
    outcomes: dict[str, TheoremOutcome] = {}
    for file, proved in theorems.items():
        why, rests = (errors[file], ()) if errors[file] else (reason, assumptions)
        if reason and file in intact and len(intact) > 1:  # which of the files is it?
            why, rests = _accepted(kernel, {file: proved})
        outcomes |= {t.name: TheoremOutcome(t, "failed" if why else "proved", why, rests) for t in proved}
    return outcomes


def _inherited(text: str, errors: Mapping[str, str]) -> str:
    """The first error among the files that this one requires: there is no use in compiling it."""
    required = re.findall(rf"^From {LIBRARY} Require Import (.*)\.$", text, re.MULTILINE)
    return next((errors[name] for line in required for name in line.split() if errors.get(name)), "")


def _error(file: str, error: str) -> str:
    return f"{file}.v: {error}" if error else ""


def _accepted(
    kernel: _Coqc, theorems: Mapping[str, tuple[KernelTheorem, ...]]
) -> tuple[str, tuple[str, ...]]:
    """Why the theorems of these files are not proved, or nothing; and what they rest on together."""
    printed, error = kernel(f"shown_{'_'.join(theorems)}", _shown(theorems))
    assumptions = read_assumptions(printed)
    if error:
        return f"{'.v, '.join(theorems)}.v: not as it is displayed: {error}", assumptions
    foreign = [name for name in assumptions if name not in ALLOWED]
    return f"rests on {', '.join(foreign)}, which is not allowed" if foreign else "", assumptions


def read_assumptions(printed: str) -> tuple[str, ...]:
    """Names in the output of one `Print Assumptions`.

    A name begins its line, and its type follows on indented ones. Any other line counts as a name too, so
    that nothing is allowed which is not understood, an empty output among it.
    """
    heads = [line.split()[0] for line in printed.splitlines() if line.strip() and not line[0].isspace()]
    if printed.strip() == "Closed under the global context":
        return ()
    return tuple(heads[1:]) if heads[:1] == ["Axioms:"] else (*heads, "nothing that is understood")


def _theorems_by_file() -> dict[str, tuple[KernelTheorem, ...]]:
    theorems = [theorem for proof in KERNEL_PROOFS.values() for theorem in proof.theorems]
    files = dict.fromkeys(theorem.file for theorem in theorems)
    return {file: tuple(t for t in theorems if t.file == file) for file in files}


def _shown(theorems: Mapping[str, tuple[KernelTheorem, ...]]) -> str:
    """What is displayed, for the kernel to accept: definitions by computation, theorems by those proved."""
    flat = [theorem for proved in theorems.values() for theorem in proved]
    lines = [
        "From Coq Require Import Reals.",
        f"From {LIBRARY} Require Import {' '.join(('definitions', *theorems))}.",
        "Open Scope R_scope.",
        *(f"Definition shown_{s.name} : definitions.{s.name} = ({s.text}) := eq_refl." for s in SYMBOLS),
        *(f"Definition shown_{t.name} : {t.text} := {t.file}.{t.name}." for t in flat),
        f"Definition together := ({', '.join((*(f'{t.file}.{t.name}' for t in flat), 'tt'))}).",
        "Print Assumptions together.",
    ]
    return "\n".join((*lines, ""))
