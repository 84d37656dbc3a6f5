"""Work on many processes or machines: workers of dask.distributed, and HE of a layer too large for one.

Dask is an extra (`pip install 'sphere-theory[cluster]'`) and is imported only when workers are asked for.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sphere_theory.arrays import as_count, as_real, full_precision
from sphere_theory.energy import total_energy
from sphere_theory.errors import ClusterError, first_line
from sphere_theory.models.weights import open_checkpoint
from sphere_theory.neurons import as_neurons
from sphere_theory.tiles import RUN

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

# Seconds that a scheduler has to answer.
TIMEOUT = 10

# Dask has its workers hand freed memory back at once; tensors are then made of fresh pages every time, which
# takes a third of the time of a stream.
_ENVIRONMENT = {
    f"distributed.nanny.pre-spawn-environ.{name}": str(256 * 2**20)
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
}

# A worker that holds a GPU has one of these; a task that needs a GPU asks for one.
GPU = "GPU"


@contextmanager
def connected(
    scheduler: str | None = None, *, workers: int | None = None, threads: int = 1, gpu: bool = False
) -> Generator[Client]:
    """A client of a running scheduler, or of worker processes on this machine that end with the block.

    Parameters
    ----------
    scheduler
        Address such as ``tcp://10.0.0.1:8786``; None: workers on this machine.
    workers
        How many on this machine; None: one for each `threads` cores, and a single one with a GPU.
    threads
        Threads that each of them will compute with. Default 1.
    gpu
        Whether workers on this machine hold a GPU.

    Yields
    ------
    distributed.Client
        Connected; on this machine all workers are there.

    Raises
    ------
    ClusterError
        Dask is not installed, or nothing answers at that address.
    """
    try:
        from dask.config import set as set_config
        from distributed import Client, LocalCluster
    except ImportError as error:
        expected = "dask.distributed installed: pip install 'sphere-theory[cluster]'"
        raise ClusterError("scheduler", expected, first_line(error)) from error
    if scheduler is not None:
        with _connect(Client, scheduler) as client:
            yield client
        return
    with set_config(_ENVIRONMENT):
        local = _local_cluster(LocalCluster, workers, threads, gpu)
    with local, Client(local) as client:
        yield client


def _local_cluster(kind: type[LocalCluster], workers: int | None, threads: int, gpu: bool) -> LocalCluster:
    return kind(
        n_workers=workers or (1 if gpu else max(1, _cores() // threads)),
        # One task at a time in each process: torch's number of threads is the process's.
        threads_per_worker=1,
        resources={GPU: 1} if gpu else None,
        # What does not fit is refused before it runs; Dask would kill a worker at its share of the memory.
        memory_limit=0,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )


def has_workers(client: Client, *, gpu: bool = False) -> bool:
    """Whether there is a worker now, with a GPU if one is needed.

    Parameters
    ----------
    client
        Of the scheduler.
    gpu
        Whether only workers with the resource GPU count.

    Returns
    -------
    bool
        False: tasks wait until one comes.
    """
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return any(worker["resources"].get(GPU, 0) or not gpu for worker in workers)


def _connect(client: type[Client], scheduler: str) -> Client:
    try:
        return client(scheduler, timeout=TIMEOUT)
    except (OSError, TimeoutError, ValueError) as error:
        expected = "the address of a running Dask scheduler, such as tcp://10.0.0.1:8786"
        raise ClusterError("scheduler", expected, f"{scheduler!r}: {first_line(error)}") from error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@full_precision()
def energy_of_file(
    path: str | Path, tensor: str, client: Client, *, s: float = 1.0, rows: int = 16384
) -> float:
    """HE_s of a matrix too large for one worker: pairs of parts of its neurons are tasks.

    HE_s = Σ_I HE_s(W_I) + 2 Σ_{I<J} Σ_{i∈I, j∈J} D_ij^(−s) over parts I, J of the neurons. Each worker reads
    the neurons of its own one or two parts and walks the tiles that `energy` would, near-coincident pairs
    included, so that the two values differ by the order of summation alone.

    Parameters
    ----------
    path
        The model, as for `load_layer`; every worker must see it there.
    tensor
        Exact name of a matrix in it.
    client
        Connected workers, as from `connected`.
    s
        Exponent, s ≥ 0.
    rows
        Neurons of a part, rounded up to a multiple of 2,048; a worker holds two parts. Default 16,384: of
        dimension 4,096 in float32 two parts are 512 MiB.

    Returns
    -------
    float
        The energy, unit-free; `inf` when two neurons coincide.

    Raises
    ------
    RangeError
        s negative or not finite, or no such number of rows.
    ModelError, UnknownTensorError, DTypeError, ShapeError, NonFiniteError, ZeroRowError
        As for `load_layer` and `energy`; indices count from the beginning of the part that the message names.
    """
    s = as_real(s, "s", low=0)
    step = math.ceil(as_count(rows, "rows", low=1) / RUN) * RUN
    # Workers may stand in another folder.
    place = os.path.abspath(path) if os.path.exists(path) else str(path)
    count, _ = open_checkpoint(place).matrix_shape(tensor)
    parts = [(start, min(start + step, count)) for start in range(0, count, step)]

    def gathered(pairs: list[tuple[tuple[int, int], tuple[int, int]]]) -> list[float]:
        # Not pure: the file may have changed since the same was asked.
        futures = [client.submit(_pair_energy, place, tensor, *pair, s, pure=False) for pair in pairs]
        return client.gather(futures)

    # Every part is checked in the first round: the second can meet nothing that is wrong.
    own = gathered([(part, part) for part in parts])
    return math.fsum(own + gathered(list(itertools.combinations(parts, 2))))


@full_precision()
def _pair_energy(place: str, tensor: str, first: tuple[int, int], other: tuple[int, int], s: float) -> float:
    """Energy of one part, or between two, each counted in both orders; on a worker."""
    checkpoint = open_checkpoint(place)
    rows = checkpoint.rows(tensor, *first)
    if first == other:
        return total_energy(as_neurons(rows, "{}[{}:{}]".format(tensor, *first)), s)
    both = torch.cat([rows, checkpoint.rows(tensor, *other)])
    return total_energy(as_neurons(both, tensor), s, split=len(rows))
