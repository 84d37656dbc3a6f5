"""M1 to M3: what is known of the editing methods themselves."""

from __future__ import annotations

from sphere_theory.claims.catalog.base import PAPER, claim
from sphere_theory.claims.ledger import Claim, Verdict
from sphere_theory.claims.measurements import along_streams as measure
from sphere_theory.claims.measurements.base import measured


def editing_claims() -> tuple[Claim, ...]:
    """The claims about editing.

    Returns
    -------
    tuple of Claim
        M1 to M3.
    """
    return (
        claim(
            "M1",
            "MEMIT with all past keys in the inverse, and AlphaEdit in its null space: sequential equals "
            "one-time editing",
            r"\Delta W = RK^\top(\lambda C_0 + K_pK_p^\top + KK^\top)^{-1}",
            "AlphaEdit, arXiv 2410.02355",
            Verdict.PROVED,
            measured("MEMIT-seq on a real layer, in batches and at once", measure.sequential_is_one_time),
            measured("AlphaEdit in a proper null space, in batches and at once", measure.null_space_kept),
            plain="Edits fed batch by batch give the same layer as all at once, as long as their keys and "
            "values were fixed beforehand.",
            hypotheses="λC0 positive definite (AlphaEdit: L2 > 0); keys and values of all batches fixed in "
            "advance, not searched on the layer that earlier batches have edited",
        ),
        claim(
            "M2",
            "A projection after each solve keeps that equality",
            r"\Delta W_t P \text{ after each solve}",
            f"{PAPER}, §4 projects after each batch",
            Verdict.REFUTED,
            measured("three ways to project a stream of MEMIT-seq", measure.projection_each_batch),
            plain="Projecting after every batch gives another layer than projecting once at the end.",
            corrected="Projected sequential editing is another method than projected one-time editing.",
        ),
        claim(
            "M3",
            "A left rotation keeps the energy of the neurons",
            r"HE(RW) = HE(W)",
            "MOSE, arXiv 2601.07873",
            Verdict.REFUTED,
            plain="Rotating a layer from the left changes the energy of its neurons; rotating it from the "
            "right does not.",
            corrected="RW keeps the energy of the columns; WR keeps that of the rows, which are the neurons.",
        ),
    )
