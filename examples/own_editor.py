"""An editor of one's own in ten lines: a ridge solve, alone and under SPHERE, along a stream of edits."""

from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import ClassVar

import torch

import sphere_theory as st


@dataclass(frozen=True)
class Ridge(st.Editor):
    """ΔW = R Kᵀ (K Kᵀ + λI)⁻¹ with the residual R of the values that are asked for."""

    ridge: float = 10.0
    name: ClassVar[str] = "ridge"

    def solve(self, memory: st.LayerMemory, batch: st.EditBatch) -> st.Step:
        K, R = batch.keys, batch.values - memory.W @ batch.keys
        gram = K @ K.T + self.ridge * torch.eye(len(K), dtype=K.dtype, device=K.device)
        return st.Step(R @ torch.linalg.solve(gram, K).T, {})


def main() -> None:
    """Edit a small synthetic layer, and print what became of it."""
    layer = st.SyntheticLayer((64, 96))
    with TemporaryDirectory() as folder, st.RunStore(folder) as store:
        for editor in (Ridge(), st.Sphere(Ridge())):
            memory, edits = layer.make(st.StreamSpec(300), store.path)
            run = st.run_stream(memory, editor, edits, st.Measures(every=3, audits=False), store)
            print(f"{run.status}: {editor}")
            print(run.frame()[["edits", "efficacy", "specificity", "energy_uniform"]].to_string(index=False))


if __name__ == "__main__":
    main()
