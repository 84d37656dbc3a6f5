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
# **Question.** What do the numbers of this toolkit say about a layer that you care about? Any safetensors
# file, folder or hub id, and the name of a matrix: change the next cell and run everything. On a CUDA
# device it runs there.

# %%
import torch

MODEL, TENSOR = "minilm", "encoder.layer.3.output.dense.weight"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

# %% [markdown]
# **How uniform are its neurons?** 1 is what independent uniform directions have.

# %%
import sphere_theory as st

W = st.load_layer(MODEL, TENSOR).to(DEVICE)
closest = st.min_separation(W)
print(f"{W.shape[0]} neurons in {W.shape[1]} dimensions")
print(f"HE/uniform = {st.energy(W, reduction='uniform'):.5f}")
print(f"closest neurons: {closest.pair}, {closest.distance:.3f} apart; opposite ones are 2 apart")

# %% [markdown]
# **Which directions would SPHERE protect?** U spans the share η of the spectrum; r is its dimension.

# %%
space = st.principal_space(W, eta=0.5)
print(f"r = {space.rank} of {min(W.shape)} directions hold {space.share:.3f} of ‖W‖²")

# %% [markdown]
# **What does the projection do to one edit?** A random one of relative size 1e-3, before and after P = I −
# 0.8 UUᵀ: the change of the energy, of the outputs, and what Theorem 1 makes of it.

# %%
generator = torch.Generator().manual_seed(0)
delta = torch.randn(W.shape, generator=generator).to(W)
delta *= 1e-3 * torch.linalg.vector_norm(W) / torch.linalg.vector_norm(delta)
project = st.SparseProjector(space, alpha=0.8)
before, after = st.audit_bound(W, delta), st.audit_bound(W, project(delta))
for name, audit in {"before": before, "after": after}.items():
    print(f"{name:6}  ΔHE {audit.energy_change:+.3g}   ‖ΔV‖² {audit.output_change_squared:.3g}")
print(
    "|ΔHE| is",
    "smaller" if abs(after.energy_change) < abs(before.energy_change) else "not smaller",
    "after it",
)
print(after)

# %% [markdown]
# **A stream of edits on it**, without SPHERE and with it. Keys are synthetic here, in groups as those of
# subjects that repeat, for those of your model need its text; λ (`ridge`) sets the size of a step and
# belongs to the keys.

# %%
import tempfile
from pathlib import Path

host = st.CheckpointLayer(MODEL, TENSOR, source="clustered")
wanted = st.StreamSpec(500, device=DEVICE)
editor = st.MemitSequential(ridge=150.0)
metrics = ["efficacy", "generalisation", "specificity"]
columns = ["edits", *metrics, "energy_uniform", "edit_norm", "total_unconditional"]
streams = {}
with tempfile.TemporaryDirectory() as folder, st.RunStore(Path(folder)) as runs:
    for name, chosen in {
        "without SPHERE": editor,
        "with SPHERE": st.Sphere(editor, eta=0.5, alpha=0.8),
    }.items():
        memory, stream = host.make(wanted, Path(folder))
        streams[name] = st.run_stream(memory, chosen, stream, st.Measures(every=1), runs).frame()[columns]

for name, course in streams.items():
    print(name)
    print(course.to_string(index=False, float_format="{:.4g}".format), "\n")

# %%
plain, projected = (course.iloc[-1] for course in streams.values())
print(f"after {int(plain['edits'])} edits, without SPHERE → with it")
for metric in metrics:
    print(f"    {metric}: {plain[metric]:.3f} → {projected[metric]:.3f}")

# %% [markdown]
# **What it shows.** The numbers of one layer, one seed, so no interval: `sphere-theory edit` and
# `sphere-theory sweep` run as many seeds, editors and settings as you ask for, and `sphere-theory figures`
# draws them.
#
# **What it does not show.** What the model says after the edit: that needs its values and its text, not
# this layer alone.
