# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1 · Energy, and the bound that is to protect knowledge
#
# **Question.** The paper gives neurons, the rows $w_i$ of a weight matrix, the hyperspherical energy
# $\mathrm{HE}(W) = \sum_{i \ne j} \|\hat w_i - \hat w_j\|^{-1}$, and states for an edit $\Delta W$ and
# orthonormal inputs $X$ that $|\Delta V| \ge (\Delta\mathrm{HE}/K)^2$ with $\Delta V = \Delta W X$: its
# Theorem 1. How uniform are the neurons of a real model, does the bound hold, and does it say anything?

# %%
import pandas as pd
import torch
from notebook_store import experiment, picture, show

import sphere_theory as st

W = st.load_layer("minilm", "encoder.layer.3.output.dense.weight")
uniform = st.energy(W, reduction="uniform")
print(f"{W.shape[0]} neurons in {W.shape[1]} dimensions")
print(f"HE = {st.energy(W):,.1f}, {uniform:.5f} of what independent uniform directions have on average")
print(st.min_separation(W))

# %% [markdown]
# **Method.** First the scale: the energy of every matrix of the model over that of independent uniform
# directions of the same number and dimension, so that 1 means uniform.

# %%
from sphere_theory.claims.figures import energy_by_layer
from sphere_theory.plotting import theme

layers = list(st.describe_layers("minilm", "encoder.layer.*.weight"))
with theme():
    drawn = energy_by_layer([row.record() for row in layers])
picture(drawn, "HE over its uniform expectation, by layer and role")
ratios = [row.uniformity for row in layers]
print(f"{len(layers)} matrices, HE/uniform from {min(ratios):.4f} to {max(ratios):.4f}")

# %% [markdown]
# Now an edit. `audit_bound` measures both sides of the inequality for four constants: $K^*$, which is proved
# for every edit, whatever its size; the paper's $K$, the norm of the energy's gradient; one from the
# triangle inequality; and an earlier, certified one, where no two neurons can meet. It says for each whether
# it holds, and why, and encloses ΔHE itself between two certified numbers.

# %%
generator = torch.Generator().manual_seed(0)
delta = torch.randn(W.shape, generator=generator)
delta *= 1e-3 * torch.linalg.vector_norm(W) / torch.linalg.vector_norm(delta)
print(st.audit_bound(W, delta))

# %% [markdown]
# **Tightness** is the right side over the left: 1 is sharp, above 1 is a violation, and at $10^{-8}$ the
# bound holds and says nothing. Here it is for a random edit and for one along $+\nabla\mathrm{HE}$, on a
# real layer, by relative size.

# %%
slope = st.energy_gradient(W)
rows = []
for size in (1e-4, 1e-3, 1e-2, 1e-1):
    for name, direction in {"random": delta, "along +∇HE": slope}.items():
        step = direction * (size * torch.linalg.vector_norm(W) / torch.linalg.vector_norm(direction))
        audit = st.audit_bound(W, step)
        found = {f"K {check.kind}": f"{check.tightness:.2g} {check.verdict}" for check in audit.checks}
        rows.append({"edit": name, "‖ΔW‖/‖W‖": f"{size:g}", **found})
pd.DataFrame(rows).set_index(["edit", "‖ΔW‖/‖W‖"]).sort_index(level=0, sort_remaining=False)

# %% [markdown]
# **Beyond one layer.** Stored trials, of edits in many directions, one of them searched for by an
# adversary, on inputs of several kinds: how often each constant is violated, and how tight it is.

# %%
show("bound", "bound-real")

# %%
trials = experiment("probe")
for constant in trials["constant"].unique() if len(trials) else ():
    own = trials[trials["constant"] == constant]
    violated, tried, total = (int(own[column].sum()) for column in ("violations", "applicable", "trials"))
    print(f"K {constant}: applies in {tried:,} of {total:,} trials, violated in {violated:,} of those")
    counts = own.groupby("direction", sort=False)["violations"].sum()
    if violated:
        print("    edits: " + ", ".join(f"{name} {count:,}" for name, count in counts.items() if count))

# %% [markdown]
# The ledger holds each statement with its verdict and what is true instead, behind every verdict a proof
# that a computer checked, an exact counterexample, or a measurement: `sphere-theory claims B3`.

# %%
from textwrap import fill

from sphere_theory.claims import ledger

for claim in ledger():
    if claim.id in {"B1", "B2", "B3", "B6", "B7", "B8", "B9", "B10"}:
        print(fill(f"{claim.id}, {claim.verdict}: {claim.statement}", 110, subsequent_indent="    "))
        if claim.corrected:
            print(fill(f"Instead: {claim.corrected}", 110, initial_indent="    ", subsequent_indent="    "))

# %% [markdown]
# **What it shows.** Whether a change of HE has a price in outputs, and how high: that is the column of
# tightness. A constant that is violated proves nothing about the next edit; one that holds by many orders
# of magnitude informs nobody.
#
# **What it does not show.** A lower bound on the change of outputs says that moving HE costs something. It
# does not say that keeping HE keeps knowledge: an edit can change every output at ΔHE = 0. That is the
# matter of notebook 6.
