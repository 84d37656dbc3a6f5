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
# # 4 · SPHERE as a plug-in
#
# **Question.** The paper reports gains of 38.71% on average when SPHERE is put around existing editors. What does it add
# here, editor by editor, and what does it cost?
#
# **Method.** The same stream with and without SPHERE (η = 0.5; α = 0.5 on AlphaEdit and 0.8 elsewhere), paired by seed,
# intervals over seeds. The paper's numbers stand beside, on other hosts, for comparison only.

# %%
from notebook_store import show

show("gains")

# %% [markdown]
# Time: the projection beside the edit, from the seconds that every run records.

# %%
show("projection-cost")

# %% [markdown]
# **What it shows.** Gains and losses of single layers with their intervals. **What it does not show.** Fluency,
# portability and general abilities, which need the whole language model.
