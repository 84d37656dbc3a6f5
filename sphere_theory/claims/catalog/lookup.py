"""All claims of the ledger, and one by its name."""

from __future__ import annotations

from sphere_theory.claims.catalog.bound import bound_claims
from sphere_theory.claims.catalog.editing import editing_claims
from sphere_theory.claims.catalog.energy import energy_claims
from sphere_theory.claims.catalog.mechanisms import mechanism_claims
from sphere_theory.claims.catalog.operator import operator_claims
from sphere_theory.claims.ledger import Claim
from sphere_theory.errors import RangeError


def ledger() -> tuple[Claim, ...]:
    """All claims, in the order of the theory: operator, energy, bound, editing, the paper's mechanisms.

    Returns
    -------
    tuple of Claim
        Each with its evidence, ready to run.
    """
    return (
        *operator_claims(),
        *energy_claims(),
        *bound_claims(),
        *editing_claims(),
        *mechanism_claims(),
    )


def find_claim(id: str) -> Claim:
    """One claim of the ledger.

    Parameters
    ----------
    id
        Its name, such as "B8"; case does not count.

    Returns
    -------
    Claim
        That claim.

    Raises
    ------
    RangeError
        No claim of that name.
    """
    claims = {claim.id: claim for claim in ledger()}
    if id.upper() not in claims:
        raise RangeError("id", f"one of {', '.join(claims)}", repr(id))
    return claims[id.upper()]
