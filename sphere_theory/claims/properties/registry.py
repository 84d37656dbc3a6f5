"""All properties, by the claim that they are evidence for."""

from sphere_theory.claims.properties.base import Property
from sphere_theory.claims.properties.bound import BOUND
from sphere_theory.claims.properties.certificate import CERTIFICATE
from sphere_theory.claims.properties.editing import EDITING
from sphere_theory.claims.properties.energy import ENERGY
from sphere_theory.claims.properties.mechanisms import MECHANISMS
from sphere_theory.claims.properties.operator import OPERATOR
from sphere_theory.claims.properties.references import REFERENCES
from sphere_theory.claims.properties.unconditional import UNCONDITIONAL

_ALL = OPERATOR | ENERGY | REFERENCES | BOUND | CERTIFICATE | UNCONDITIONAL | EDITING | MECHANISMS
_ORDER = "OEBMP"

PROPERTIES: dict[str, Property] = {
    claim: _ALL[claim] for claim in sorted(_ALL, key=lambda claim: (_ORDER.index(claim[0]), int(claim[1:])))
}
