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
# # 5 · Fifty and a hundred thousand edits
#
# **Question.** The paper's first open question: Theorem 1 assumes small perturbations. After how many edits does that
# stop being true, and what happens to the bound then?
#
# **Method.** Streams of up to 100,000 edits with keys that have the second moment of real ones. The ridge λ sets the size
# of a step. At each measure point the whole way from the pretrained weights is audited: does one certificate cover it, is
# the first order right to 10%, how tight is the bound?

# %%
from notebook_store import show

show("stress", "smallness")

# %% [markdown]
# **What it shows.** The edit count at which each assumption stops holding, by step size; where a run held to the end of
# its stream it is marked so. **What it does not show.** Keys here are Gaussian with a real covariance, and facts are drawn
# anew: real streams repeat subjects.
