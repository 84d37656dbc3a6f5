"""A second process for evidence that needs no layer: proofs, kernel proofs and properties.

They use one core and take longer than the measurements of a quick run, which can go on beside them. The
helper reads tasks from its standard input, a JSON line each, and writes a record for each. It is handed one
task at a time, so that whoever has nothing left of its own takes over what is not begun.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any

Task = tuple[str, str]  # name of the claim, name of its evidence

# Evidence that a helper can run; it knows the ledger's own claims alone.
KINDS = frozenset({"symbolic", "kernel", "property"})


class Helper:
    """A process that works through tasks from the front, while `take` takes them from the back.

    Used as a context manager: the process is gone when the block ends, whatever it was doing.

    Parameters
    ----------
    tasks
        In the order in which they are to be begun.
    settings
        Arguments of its `Context`, plain values.
    """

    def __init__(self, tasks: Iterable[Task], settings: dict[str, Any]) -> None:
        self._left = deque(tasks)
        self._settings = json.dumps(settings)
        self._found: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._feeder = Thread(target=self._feed, daemon=True)

    def __enter__(self) -> Helper:
        # In a session of its own: an interruption is for the process that can store what was found.
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, self._settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self._feeder.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.clear()
        self._process.kill()
        self._process.wait()
        self._feeder.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                # What was written to a helper that is gone is still to be flushed, and cannot be.
                with suppress(BrokenPipeError):
                    pipe.close()

    def _feed(self) -> None:
        while self._left:
            try:
                task = self._left.popleft()
            except IndexError:  # taken by the other side since
                return
            record = self._asked(task)
            if record is None:  # the helper is gone: what it had is left to be taken
                self._left.appendleft(task)
                return
            self._found.put(record)

    def _asked(self, task: Task) -> dict[str, Any] | None:
        stdin, stdout = self._process.stdin, self._process.stdout
        try:
            if stdin is None or stdout is None:
                return None
            stdin.write(json.dumps(task) + "\n")
            stdin.flush()
            line = stdout.readline()
        except OSError:
            return None
        return json.loads(line) if line.endswith("\n") else None

    def finished(self) -> Iterator[dict[str, Any]]:
        """Records that have come since the last call, without waiting.

        Yields
        ------
        dict
            As of `Result.record`, finite.
        """
        while True:
            try:
                yield self._found.get_nowait()
            except Empty:
                return

    def take(self) -> Task | None:
        """A task that nobody has begun, from the back; waits for the helper's own before it returns None.

        Returns
        -------
        tuple or None
            None once everything is done or being returned by `finished`.
        """
        while True:
            try:
                return self._left.pop()
            except IndexError:
                self._feeder.join()
            if not self._left:
                return None


def main(settings: str, tasks: Iterable[str], write: Callable[[str], object]) -> None:
    """Work through tasks until there are no more; end at the first that fails, which is then run elsewhere.

    Parameters
    ----------
    settings
        JSON of the arguments of `Context`.
    tasks
        A JSON pair a line.
    write
        Is handed a line of JSON, the record, for each.
    """
    import torch

    from sphere_theory.claims import Context, ledger, run_evidence

    torch.set_num_threads(1)
    context, claims = Context(**json.loads(settings)), {claim.id: claim for claim in ledger()}
    for line in tasks:
        id, name = json.loads(line)
        pieces = [piece for piece in claims[id].evidence if piece.name == name]
        for result in run_evidence(claims[id], pieces, context):
            write(json.dumps(result.record(), ensure_ascii=False, allow_nan=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin, partial(print, end="", flush=True))
