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
# # 3 · η and α, and what turning the ridge would have done
#
# **Question.** SPHERE has two numbers, the share η of the spectrum that spans U and the strength α in P = I − αUUᵀ. How
# much depends on them, and does SPHERE reach a balance of new and old facts that the base editor's own ridge λ does not?
#
# **Method.** Every η with every α, three seeds each; three controls in place of P (the same norm in no particular
# direction, a random subspace of the same rank, the least principal directions); the base editor at other λ; SPHERE with
# error compensation.

# %%
from notebook_store import show, store

show("ablation")

# %% [markdown]
# The front: efficacy against specificity. A point to the upper right of the λ curve is one that λ does not reach.

# %%
show("front")

# %% [markdown]
# In numbers: of the settings of each kind, how many does no λ match on both axes?

# %%
from sphere_theory.analysis.front import front_gaps, front_shares
from sphere_theory.analysis.runs import gather
from sphere_theory.analysis.selection import grids_of

with store() as found:
    points = gather(found)
for host in points["host"].unique():
    chosen = grids_of(points, host)
    if len(chosen):
        print(host)
        print(front_shares(front_gaps(chosen)).round(2).to_string(index=False))

# %% [markdown]
# **What it shows.** Whether the controls do as well as SPHERE tells what the direction is worth; whether λ does, what the
# projection is worth. **What it does not show.** One layer, one batch size; other layers of other models have other spectra.
