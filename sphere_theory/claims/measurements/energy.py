"""E5 to E7 on real layers: how uniform they are, where neurons meet, and what HE does not see."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sphere_theory.claims.context import Context
from sphere_theory.claims.ledger import Finding
from sphere_theory.claims.measurements.base import Row, against, counted, spread
from sphere_theory.energy import energy, energy_gradient, uniform_energy
from sphere_theory.experiments.layers import describe_layer
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.motion import energy_change

# Recorded for layer 3 of the checksummed weights; a value that rounds differently is a surprise.
_UNIFORMITY_LAYER_3 = 0.9994

# What the ledger says of every matrix.
_UNIFORM_WITHIN = 0.02


def _wrong_reference(row: Row) -> float:
    """HE over the uniform expectation with d in place of d − 1."""
    n, d, s = row["n"], row["d"], row["s"]
    wrong = (
        (d - 2 - s) * math.log(2)
        + math.lgamma(d / 2)
        + math.lgamma((d - s) / 2)
        - math.log(math.pi) / 2
        - math.lgamma(d - s / 2)
    )
    return float(row["uniformity"] * uniform_energy(n, d, s=s) / (n * (n - 1) * math.exp(wrong)))


@against(
    "rows",
    {
        "within 0.02% of uniform": lambda row: abs(row["uniformity"] - 1) > 2e-4,
        "d for d − 1 in the reference": lambda row: abs(_wrong_reference(row) - 1) > _UNIFORM_WITHIN,
        "HE below uniform on every matrix": lambda row: row["uniformity"] > 1,
        "HE above uniform on every matrix": lambda row: row["uniformity"] < 1,
    },
)
def uniformity(context: Context) -> Finding:
    """HE over its uniform expectation on every FFN and attention matrix.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if every matrix is within 2% of it, layer 3's output matrix at 0.9994, and no matrix
        below the simplex bound.
    """
    names = context.checkpoint.matrices("encoder.layer.*.weight")
    rows = []
    for name in names:
        context.report(f"E5: {name}")
        rows.append(describe_layer(name, context.checkpoint.matrix(name).to(context.device)).record())
    values = {row["tensor"]: row["uniformity"] for row in rows}
    layer_3 = values[MiniLM().tensor]
    furthest = max(abs(value - 1) for value in values.values())
    possible = all(row["simplex_ratio"] >= 1 for row in rows)
    outputs = spread(values[host.tensor] for host in MiniLM.layers())
    return Finding(
        expected=round(layer_3, 4) == _UNIFORMITY_LAYER_3 and furthest <= _UNIFORM_WITHIN and possible,
        summary=f"HE/uniform of {len(rows)} matrices: {spread(values.values())}; FFN outputs {outputs}",
        margin=f"furthest {furthest:.2%} of {_UNIFORM_WITHIN:.0%}; layer 3: {layer_3:.6f}",
        data={"rows": rows},
    )


def silent_edits(context: Context) -> list[Row]:
    """Edits of real layers that neither energy nor norms nor spectrum see, and what they do to outputs.

    Neurons longer by a tenth, which HE alone does not see; and orthogonal changes of coordinates W ↦ WR,
    which none of the three sees: the columns of W in another order, and R = −I.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    list of dict
        One for each layer and edit: energy, norms, spectrum, each the relative change; outputs, the change
        ‖ΔV‖_F/‖V‖_F on real keys; output_change_squared.
    """

    def measure() -> list[Row]:
        rows = []
        for layer in context.layers:
            context.report(f"layer {layer}: edits that energy, norms and spectrum do not see")
            W, keys = context.weight(layer).double(), context.keys(layer).double()
            order = torch.randperm(W.shape[1], generator=torch.Generator().manual_seed(context.seed))
            edits = {"10% longer": 1.1 * W, "W ↦ WR, R a permutation": W[:, order.to(W.device)], "W ↦ −W": -W}
            rows += [{"layer": layer, "edit": name} | _seen(W, to, keys) for name, to in edits.items()]
        return rows

    return context.once("silent edits", measure)


def _seen(W: Tensor, to: Tensor, keys: Tensor) -> Row:
    before, after = (_eigenvalues(one) for one in (W, to))
    norms, moved = (torch.linalg.vector_norm(one, dim=1) for one in (W, to))
    values, change = W @ keys, (to - W) @ keys
    return {
        "energy": abs(energy_change(W, to - W).change) / energy(W),
        "norms": float(((moved - norms) / norms).abs().max()),
        "spectrum": float((after - before).abs().max() / before.max()),
        "outputs": float(torch.linalg.vector_norm(change) / torch.linalg.vector_norm(values)),
        "output_change_squared": float(change.square().sum()),
    }


def _eigenvalues(W: Tensor) -> Tensor:
    return torch.linalg.eigvalsh(W @ W.T)


def _unseen(row: Row, *what: str) -> bool:
    """Whether outputs move by a tenth and more where these do not move at all."""
    return row["outputs"] >= 0.0999 and all(row[name] < 1e-12 for name in what)


@against(
    "rows",
    {
        "outputs move by less than a tenth at a stable HE": lambda row: _unseen(row, "energy"),
        "so they do at a stable HE and stable norms": lambda row: _unseen(row, "energy", "norms"),
        "so they do at a stable HE, norms and spectrum": lambda row: _unseen(
            row, "energy", "norms", "spectrum"
        ),
    },
)
def unseen_edits(context: Context) -> Finding:
    """Outputs of real layers that move while HE, row norms and singular values stay as they are.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if HE stays through each edit, norms and spectrum too through W ↦ WR, while outputs move
        by a tenth and more, up to twice their size.
    """
    rows = silent_edits(context)
    turned = [row for row in rows if row["edit"] != "10% longer"]
    radial = [row for row in rows if row["edit"] == "10% longer"]
    least = min(row["outputs"] for row in turned)
    return Finding(
        expected=all(_unseen(row, "energy") for row in radial)
        and all(_unseen(row, "energy", "norms", "spectrum") for row in turned)
        and max(row["outputs"] for row in turned) > 1.99,
        summary=f"{counted(len(radial), 'layer')}, real keys: W ↦ 1.1·W moves outputs by "
        f"{spread(row['outputs'] for row in radial)} of their size at |ΔHE|/HE ≤ "
        f"{max(row['energy'] for row in radial):.1g}; W ↦ WR by {least:.2g} to "
        f"{max(row['outputs'] for row in turned):.2g} at the same HE, norms and spectrum",
        margin=f"‖ΔV‖² ≥ {min(row['output_change_squared'] for row in rows):.3g} where HE does not move",
        data={"rows": rows},
    )


@against(
    "rows",
    {
        "HE stays below twice what it is": lambda row: row["energy"] > 2 * row["usual_energy"],
        "its slope stays below a thousand times what it is": lambda row: (
            row["slope"] > 1e3 * row["usual_slope"]
        ),
        "its slope grows as 1/D, as HE does": lambda row: (
            row["distance"] < 0.1 and row["slope"] * row["distance"] > 10 * row["usual_slope"]
        ),
    },
)
def meeting_neurons(context: Context) -> Finding:
    """Two neurons of layer 3 brought together: HE and the length of its gradient against their distance.

    Parameters
    ----------
    context
        How to run.

    Returns
    -------
    Finding
        As expected if, from one distance to a tenth of it, what the pair adds to HE grows tenfold and the
        gradient a hundredfold, to 2%.
    """
    W = context.weight(context.middle).double()
    usual, usual_slope = energy(W), _slope(W)
    rows = []
    for exponent in range(-2, -7, -1):
        moved = _brought_together(W, 10.0**exponent)
        distance = float(torch.linalg.vector_norm(_unit(moved[0]) - _unit(moved[1])))
        rows.append({
            "distance": distance,
            "energy": energy(moved),
            "slope": _slope(moved),
            "usual_energy": usual,
            "usual_slope": usual_slope,
        })
    rest = energy(W[1:])
    powers = [_power(rows, lambda row: row["energy"] - rest), _power(rows, lambda row: row["slope"])]
    return Finding(
        expected=abs(powers[0] + 1) < 0.02 and abs(powers[1] + 2) < 0.02,
        summary=f"from D = 1e-2 to 1e-6: HE {rows[0]['energy']:.4g} → {rows[-1]['energy']:.4g}, ‖∇HE‖ "
        f"{rows[0]['slope']:.2g} → {rows[-1]['slope']:.2g}",
        margin=f"HE grows as D^{powers[0]:.3f}, ‖∇HE‖ as D^{powers[1]:.3f}",
        data={"rows": rows},
    )


def _brought_together(W: Tensor, distance: float) -> Tensor:
    """The first neuron turned until it is that far from the second; its length stays."""
    first, second = _unit(W[0]), _unit(W[1])
    across = _unit(first - (first @ second) * second)
    moved = W.clone()
    moved[0] = torch.linalg.vector_norm(W[0]) * _unit(second + distance * across)
    return moved


def _unit(vector: Tensor) -> Tensor:
    return vector / torch.linalg.vector_norm(vector)


def _slope(W: Tensor) -> float:
    return float(torch.linalg.vector_norm(energy_gradient(W)))


def _power(rows: list[Row], value: Callable[[Row], float]) -> float:
    """Slope of the logarithms between the two smallest distances."""
    before, after = rows[-2], rows[-1]
    return math.log(value(after) / value(before)) / math.log(after["distance"] / before["distance"])
