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
# # 6 · Cause, or companion?
#
# **Question.** If keeping HE is what protects knowledge, then raising HE must hurt, lowering it must help, and changes that
# leave HE alone must do neither. All three can be done to a layer directly.
#
# **Method.** Interventions of the same Frobenius norm, and of the same norm as the preserved keys see it, that raise HE,
# lower it or leave it; scalings and rotations that change every output and not HE; and steps along −∇HE after every batch.
# Differences are paired, on several seeds.

# %%
from notebook_store import show

show("dose", "contrasts", "upkeep")

# %% [markdown]
# **What it shows.** Effects with intervals: read them against the effect of a step of the same size that leaves HE alone.
# **What it does not show.** Interventions are small, of the size of a batch; and one layer is not a model.
