"""The ledger itself: every claim, its verdict, and what is run to check it; a family a file."""

from sphere_theory.claims.catalog.lookup import find_claim, ledger

__all__ = ["find_claim", "ledger"]
