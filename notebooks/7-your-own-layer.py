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
# # 7 · A layer of your own model
#
# Any safetensors file, folder or hub id, and the name of a matrix. Set `MODEL` and `TENSOR` (and `DEVICE = "cuda"` where
# there is one) and run everything.

# %%
import torch

MODEL, TENSOR = "minilm", "encoder.layer.3.output.dense.weight"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

# %% [markdown]
# **How uniform are its neurons?** 1 is what independent uniform directions have.

# %%
import sphere_theory as st

W = st.load_layer(MODEL, TENSOR)
W = torch.as_tensor(W).to(DEVICE)
print(tuple(W.shape), "HE/uniform", round(st.energy(W, reduction="uniform"), 5), st.min_separation(W))

# %% [markdown]
# **Which directions would SPHERE protect?** U spans the share η of the spectrum; r is its dimension.

# %%
space = st.principal_space(W, eta=0.5)
print(f"r = {space.rank} of {min(W.shape)} directions hold {space.share:.3f} of ‖W‖²")

# %% [markdown]
# **How much of an edit's energy change lies there?** A random edit of relative size 1e-3, before and after P = I − 0.8UUᵀ.

# %%
generator = torch.Generator().manual_seed(0)
delta = (
    torch.randn(W.shape, generator=generator).to(W) * 1e-3 * torch.linalg.vector_norm(W) / W.numel() ** 0.5
)
project = st.SparseProjector(space, alpha=0.8)
print(st.audit_bound(W, delta))
print(st.audit_bound(W, project(delta)))

# %% [markdown]
# **A stream of edits on it**, with synthetic keys of a chosen spectrum; for keys of your own see `sphere_theory.streams`.

# %%
import tempfile
from pathlib import Path

from sphere_theory.streams.job import HostChoice, make_editor, make_host
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.runner import run_stream
from sphere_theory.streams.store import RunStore

minilm = MODEL == "minilm"
host = HostChoice(
    MODEL, tensor=None if minilm else TENSOR, source="gaussian" if not minilm else "clustered", edits=500
)
columns = [
    "edits",
    "efficacy",
    "specificity",
    "energy_uniform",
    "energy_change",
    "edit_norm",
    "total_certified",
]
with tempfile.TemporaryDirectory() as folder, RunStore(Path(folder)) as runs:
    for sphere in (None, (0.5, 0.8)):
        memory, stream = make_host(host, Path(folder), lambda *progress: None)
        editor = make_editor("memit-seq", model=MODEL, settings={"ridge": 15.0}, sphere=sphere)
        run = run_stream(memory, editor, stream, Measures(every=1), runs)
        print("with SPHERE" if sphere else "without SPHERE")
        print(run.frame()[columns].to_string(index=False))

# %% [markdown]
# **What it shows.** The numbers of one layer. **What it does not show.** What the model says after the edit: that needs its
# values and its text, not this layer alone.
