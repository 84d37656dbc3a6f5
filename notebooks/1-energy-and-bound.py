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
# orthonormal inputs $X$ that $\|\Delta W X\|_F \ge (\Delta\mathrm{HE}/K)^2$, its Theorem 1. How uniform are the
# neurons of a real model, and does the bound hold?

# %%
import sphere_theory as st
from sphere_theory.models import load_layer

W = load_layer("minilm", "encoder.layer.3.output.dense.weight")
print(f"{W.shape[0]} neurons in {W.shape[1]} dimensions")
print(
    f"HE = {st.energy(W):,.1f}, {st.energy(W, reduction='uniform'):.5f} of what uniform directions have on average"
)
print(st.min_separation(W))

# %% [markdown]
# **Method.** The energy leaves the uniform expectation only where neurons crowd together, so that its whole range is
# a matter of per cent. Below, every matrix of MiniLM.

# %%
from sphere_theory.analysis.layers import describe_layers
from sphere_theory.models import open_checkpoint

checkpoint = open_checkpoint("minilm")
names = checkpoint.matrices("*output.dense.weight")
for row in describe_layers(checkpoint, names):
    print(f"{row.tensor:48} {row.neurons:5} × {row.inputs:5}   HE/uniform {row.energy_uniform:.5f}")

# %% [markdown]
# Now an edit. `audit_bound` measures both sides for three constants: the paper's $K$ (gradient), the one from the
# triangle inequality, and one that is certified for this very edit; and says for each whether its hypotheses hold.

# %%
import torch

generator = torch.Generator().manual_seed(0)
delta = torch.randn(W.shape, generator=generator) * 1e-3 * torch.linalg.vector_norm(W) / W.numel() ** 0.5
print(st.audit_bound(W, delta))

# %% [markdown]
# **Where it fails.** Theorem 1 rests on a first-order step. Along $\nabla \mathrm{HE}$ a large edit breaks it, for two
# neurons in the plane already; the ledger holds exact counterexamples, each with a proof that a computer checked.

# %%
from sphere_theory.claims import ledger

for claim in ledger():
    if claim.id in {"B1", "B2", "B3", "B5", "B6"}:
        print(
            f"{claim.id}: {claim.verdict}\n    {claim.statement}\n    instead: {claim.corrected or claim.hypotheses}\n"
        )

# %% [markdown]
# The figures below are drawn from stored trials: how tight the bound is, and where each constant is violated.

# %%
from notebook_store import show

show("bound")

# %% [markdown]
# **What it shows.** The constant of the paper is violated by edits along the gradient, at every size; the certified
# constant never is, and is far from tight. **What it does not show.** A lower bound on the change of outputs says that
# a change of HE has a price; it does not say that keeping HE keeps knowledge. That is the matter of notebook 6.
