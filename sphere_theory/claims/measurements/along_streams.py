"""M1, M2, B3, B6 and O8 along streams of edits of a real layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sphere_theory.claims.context import Context
from sphere_theory.claims.ledger import Finding
from sphere_theory.claims.measurements.base import Row, against, brief
from sphere_theory.claims.streams import (
    BATCH,
    EDITORS,
    POLICIES,
    PROJECTED,
    SEQUENTIAL,
    Streamed,
    all_streams,
    stream_host,
    stream_null_space,
    streamed,
)
from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.projection import SparseProjector
from sphere_theory.spectrum import principal_space
from sphere_theory.study.estimates import committed_estimates

if TYPE_CHECKING:
    import pandas as pd


def _records(found: Mapping[str, Streamed]) -> list[Row]:
    return [row for name, one in found.items() for row in _plain(one.frame.assign(editor=name))]


def _missing(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _moved(weight: Tensor, other: Tensor, context: Context) -> float:
    """How far apart two edited layers are, relative to what editing did."""
    W = stream_host(context)[0].W
    return float((weight - other).norm() / (other - W).norm())


@against(
    "rows",
    {
        "the two agree to a percent at best": lambda row: row["gap"] < 1e-3,
        "forgetting the past keys changes nothing": lambda row: row["forgetful_gap"] > 0.1,
        "one batch is all that was fed": lambda row: row["batches"] > 1,
    },
)
def sequential_is_one_time(context: Context) -> Finding:
    """MEMIT-seq batch by batch, against all batches at once, and against MEMIT without the past keys.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if the first two differ by less than 1e-9 of what they did; C0 has condition 2·10⁶.
    """
    memory, stream = stream_host(context)
    once = SEQUENTIAL.apply(memory, stream.batch(0, len(stream))).weight
    gap = _moved(streamed(context, "memit-seq", SEQUENTIAL).weight, once, context)
    forgetful = memory
    for start in range(0, len(stream), BATCH):
        forgetful = EDITORS["memit"].apply(forgetful, stream.batch(start, start + BATCH))
    row = {
        "edits": len(stream),
        "batches": len(stream) // BATCH,
        "gap": gap,
        "forgetful_gap": _moved(forgetful.weight, once, context),
    }
    return Finding(
        expected=gap < 1e-9,
        summary=f"{len(stream):,} edits of real keys in batches of {BATCH}, and at once; without the past "
        f"keys {row['forgetful_gap']:.2g} apart",
        margin=f"relative gap {gap:.1g}",
        data={"rows": [row]},
    )


@against(
    "rows",
    {
        "the two agree to a percent at best": lambda row: row["gap"] < 1e-3,
        "its null space is the whole space": lambda row: row["dimension"] < row["of"],
        "its edits leave the null space": lambda row: row["outside"] < 1e-6,
    },
)
def null_space_kept(context: Context) -> Finding:
    """AlphaEdit batch by batch in a proper null space of real keys, against all batches at once.

    At once is computed from the formula itself: with Q the basis of the null space and Z = QᵀK of all keys,
    ΔW = R(L2·I + ZᵀZ)⁻¹ZᵀQᵀ.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if the two differ by less than 1e-9 of what they did, and no edit leaves the null space.
    """
    memory, stream = stream_host(context)
    editor, Q = AlphaEdit(), stream_null_space(context)
    total = stream.batch(0, len(stream))
    Z, residual = Q.T @ total.keys, total.values - memory.W @ total.keys
    unit = torch.eye(Z.shape[1], dtype=Z.dtype, device=Z.device)
    once = memory.W + residual @ torch.linalg.solve(editor.l2 * unit + Z.T @ Z, Z.T) @ Q.T
    weight = streamed(context, "alphaedit", EDITORS["alphaedit"]).weight
    edit = weight - memory.W
    row = {
        "edits": len(stream),
        "dimension": Q.shape[1],
        "of": len(Q),
        "gap": _moved(weight, once, context),
        "outside": float((edit - (edit @ Q) @ Q.T).norm() / edit.norm()),
    }
    return Finding(
        expected=row["gap"] < 1e-9 and row["outside"] < 1e-10 and 0 < row["dimension"] < row["of"],
        summary=f"{len(stream):,} edits in batches of {BATCH} inside {row['dimension']} of {row['of']} "
        f"dimensions, and at once by the formula; outside of them {row['outside']:.1g} of the edit",
        margin=f"relative gap {row['gap']:.1g}",
        data={"rows": [row]},
    )


@against(
    "gaps",
    {
        "it is the layer of one projection": lambda row: row["gap"] > 0.1,
        "the gap is rounding": lambda row: row["gap"] > 1e-6,
        "projecting step by step makes the difference by itself": lambda row: row["linear_gap"] < 1e-9,
    },
)
def projection_each_batch(context: Context) -> Finding:
    """SPHERE after each batch, against one projection of the total, and against error compensation.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if projecting after each batch is another method than projecting the total: they differ by
        more than a tenth of what they did, though steps that do not see the projection add up to P of their
        sum: it is the next solve that answers to the last projection.
    """
    each = streamed(context, "memit-seq + SPHERE", EDITORS["memit-seq + SPHERE"])
    policies = list(POLICIES.items())[: 1 if context.quick else None]
    others = {name: streamed(context, name, editor) for name, editor in policies}
    gap = _moved(each.weight, others["solved on unprojected weights"].weight, context)
    kept = {"after each batch": each, **others}
    efficacy = {name: float(one.frame["efficacy"].iloc[-1]) for name, one in kept.items()}
    edits = int(each.frame["edits"].iloc[-1])
    row = {"gap": gap, "linear_gap": _linear_gap(context, others["solved on unprojected weights"].weight)}
    return Finding(
        expected=gap > 0.1 and row["linear_gap"] < 1e-9,
        summary=f"efficacy after {edits:,} edits, P applied: "
        + ", ".join(f"{name} {value:.3f}" for name, value in efficacy.items()),
        margin=f"relative gap {gap:.2g}; of steps solved on unprojected weights to P of their sum "
        f"{row['linear_gap']:.1g}",
        data={"gaps": [row], "efficacy": efficacy, "rows": _records(kept)},
    )


def _linear_gap(context: Context, unseen: Tensor) -> float:
    """How far steps that were solved on unprojected weights end from P of the unprojected stream's sum."""
    W = stream_host(context)[0].W
    total = streamed(context, "memit-seq", SEQUENTIAL).weight - W
    space = principal_space(W, eta=PROJECTED.eta)
    return _moved(unseen, W + SparseProjector(space, PROJECTED.alpha)(total), context)


def _audited(context: Context) -> pd.DataFrame:
    """Rows of the stream whose every step is audited, with what each form of the bound allows."""
    frame = streamed(context, "alphaedit", EDITORS["alphaedit"]).frame
    whole = frame["energy_change"].abs() / frame["total_unconditional_tightness"].pow(0.5)
    return frame.assign(editor="alphaedit", whole_bound=whole)


@against(
    "rows",
    {
        "the whole way needs a certificate": lambda row: (
            row["total_certified"] == "not applicable" and row["total_unconditional"] == "holds"
        ),
        "the sum over steps is no longer than the whole way": lambda row: (
            row["path_bound"] > 1.01 * row["whole_bound"]
        ),
        "|ΔHE| uses a tenth of either": lambda row: (
            abs(row["energy_change"]) < 0.1 * min(row["path_bound"], row["whole_bound"])
        ),
    },
)
def path_bound(context: Context) -> Finding:
    """|ΔHE| along a stream, against Σ K_t‖ΔW_t‖ of its steps, and against K*‖ΔW‖ of the whole way.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if both bound |ΔHE| at every row, and neither is missing at any.
    """
    frame = _audited(context)
    bound, change = frame["path_bound"], frame["energy_change"].abs()
    whole, covered = frame["whole_bound"], (frame["total_certified"] != "not applicable").mean()
    known = bool(bound.map(math.isfinite).all() and whole.map(math.isfinite).all())
    held = set(frame["total_unconditional"]) | set(frame["step_unconditional"]) <= {"holds", "undecided"}
    edits = int(frame["edits"].iloc[-1])
    return Finding(
        expected=known and held and bool((change <= bound).all()),
        summary=f"{edits:,} AlphaEdit edits: the sum over steps and the whole way bound |ΔHE| at every "
        f"one of {len(frame)} rows; one certificate (B5) covers {covered:.0%} of them",
        margin=f"|ΔHE| is {float((change / bound).max()):.1g} of Σ K‖ΔW‖, "
        f"{float((change / whole).max()):.1g} of the whole way's",
        data={"rows": _plain(frame)},
    )


@against(
    "rows",
    {
        "K_tri is violated along it": lambda row: row["step_triangle"] == "holds",
        "K_grad and K_tri ask for the same": lambda row: (
            row["step_gradient_tightness"] > 2 * row["step_triangle_tightness"]
        ),
        "the first order is right to 10% at every step": lambda row: row["step_first_order_error"] > 0.1,
    },
)
def readings_along_a_stream(context: Context) -> Finding:
    """Both readings of the paper's K along a stream: single steps, and the whole way.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if K_tri is violated by no step and not by the whole way, as along the study's streams.
    """
    frame = _audited(context)
    counts = {
        (way, kind): int((frame[f"{way}_{kind}"] == "violated").sum())
        for way in ("step", "total")
        for kind in ("gradient", "triangle")
    }
    audited = committed_estimates().audited
    studied = 0 if audited is None else audited.counts["step"]["triangle"].get("violated", 0)
    ratio = (frame["step_gradient_tightness"] / frame["step_triangle_tightness"]).pow(0.5)
    return Finding(
        expected=counts["step", "triangle"] == counts["total", "triangle"] == 0 == studied,
        summary=f"{len(frame)} steps of AlphaEdit, and their sum: violated with K_grad "
        f"{counts['step', 'gradient']} and {counts['total', 'gradient']}, with K_tri "
        f"{counts['step', 'triangle']} and {counts['total', 'triangle']}",
        margin=f"K_tri/K_grad {brief(ratio)}",
        data={"rows": _plain(frame)},
    )


@against(
    "rows",
    {
        "edited weights keep the pretrained space": lambda row: row["overlap"] < 0.5,
        "nothing of it is left": lambda row: row["overlap"] > 0.1,
        "AlphaEdit's null space leaves it out": lambda row: row["inside"] > 0.5,
    },
)
def principal_space_turns(context: Context) -> Finding:
    """How much of the pretrained principal space is left in that of the edited weights, and in null(C0).

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if every stream loses more than half of it.
    """
    found = all_streams(context)
    memory, _ = stream_host(context)
    U, Q = principal_space(memory.W).basis, stream_null_space(context)
    inside, chance = float((Q.T @ U).square().sum()) / U.shape[1], Q.shape[1] / len(Q)
    left = {name: float(one.frame["principal_overlap"].iloc[-1]) for name, one in found.items()}
    edits = int(next(iter(found.values())).frame["edits"].iloc[-1])
    rows = [
        {"editor": name, "overlap": value, "inside": inside, "by_chance": chance}
        for name, value in left.items()
    ]
    return Finding(
        expected=max(left.values()) < 0.5,
        summary=f"‖U_tᵀU‖²/r after {edits:,} edits: "
        + ", ".join(f"{name} {value:.2g}" for name, value in left.items()),
        margin=f"{inside:.2f} of span(U) in AlphaEdit's null space, {chance:.2f} by chance",
        data={"rows": rows},
    )


def _plain(frame: pd.DataFrame) -> list[Row]:
    return [
        {key: value for key, value in row.items() if not _missing(value)} for row in frame.to_dict("records")
    ]
