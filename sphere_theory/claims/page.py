"""The ledger as a table in Markdown, and its place in a page."""

from __future__ import annotations

from sphere_theory.claims.catalog import ledger
from sphere_theory.claims.ledger import Verdict
from sphere_theory.errors import InputError

START, END = "<!-- ledger: written by `make readme` -->", "<!-- end of ledger -->"


def markdown_table() -> str:
    """The ledger in Markdown: id, statement, verdict, what is true instead, kinds of evidence.

    Returns
    -------
    str
        One row for each claim, without a final newline.
    """
    lines = [
        "| | statement | verdict | what is true instead, or under which hypotheses | evidence |",
        "|---|---|---|---|---|",
    ]
    for claim in ledger():
        kinds = ", ".join(dict.fromkeys(piece.kind for piece in claim.evidence))
        label = "Scope" if claim.verdict in (Verdict.MEASURED, Verdict.OPEN) else "Needs"
        needs = f"{label}: {claim.hypotheses}." if claim.hypotheses else ""
        remark = " ".join(filter(None, (claim.corrected, needs)))
        cells = (claim.id, claim.statement, f"**{claim.verdict}**", remark, kinds)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def with_table(page: str) -> str:
    """Replace the ledger's table in a page.

    Parameters
    ----------
    page
        Text with the two markers that enclose the table.

    Returns
    -------
    str
        The page with the current table.

    Raises
    ------
    InputError
        The markers are not there.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise InputError("page", f"the markers {START} and {END}", "a page without them")
    return f"{before}{START}\n{markdown_table()}\n{END}{after}"
