"""Claims as properties: what has to hold on every generated example, and mutants that must not.

`PROPERTIES` has one for each claim that can be put so, in the ledger's order; each is told from three wrong
versions of itself at least.
"""

from sphere_theory.claims.properties.base import Mutant, Property, at_most, equality, falsify
from sphere_theory.claims.properties.registry import PROPERTIES

__all__ = ["PROPERTIES", "Mutant", "Property", "at_most", "equality", "falsify"]
