"""An output as a step of the build's progress, and its parts (``exporting layers``)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pierhead.build.model import Emit, StepDone, StepProgress, StepStarted, Warned
from pierhead.errors import PierError
from pierhead.oci.digest import Digest, sha256


@dataclass(slots=True)
class Step:
    """One step that is no instruction's: an output, a cache export or import."""

    emit: Emit
    id: Digest
    clock: Callable[[], int] = time.time_ns

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Something that takes a while; it is shown until it is done."""
        started = self.progress(name)
        yield
        self.progress(name, started_ns=started, done=True)

    def progress(
        self,
        name: str,
        *,
        current: int = 0,
        total: int = 0,
        started_ns: int = 0,
        done: bool = False,
    ) -> int:
        """Tell where ``name`` is; returns when it began."""
        now = self.clock()
        started = started_ns or now
        self.emit(
            StepProgress(
                time_ns=now,
                step=self.id,
                id=name,
                current=current,
                total=total,
                started_ns=started,
                completed_ns=now if done else 0,
            )
        )
        return started

    def said(self, name: str) -> None:
        """Something that is done at once."""
        with self.part(name):
            pass

    def warn(self, text: str) -> None:
        """Something that went wrong and stops nothing."""
        self.emit(Warned(time_ns=self.clock(), rule="", text=text))


@contextmanager
def step(
    emit: Emit, seed: str, name: str, clock: Callable[[], int] = time.time_ns
) -> Iterator[Step]:
    """One step from its start to its end, whichever that is; ``seed`` makes its digest."""
    digest = sha256(seed.encode())
    emit(StepStarted(time_ns=clock(), step=digest, name=name))
    try:
        yield Step(emit, digest, clock)
    except PierError as error:
        emit(StepDone(time_ns=clock(), step=digest, error=error.message))
        raise
    except BaseException as error:
        canceled = not isinstance(error, Exception)
        words = "canceled" if canceled else str(error)
        emit(StepDone(time_ns=clock(), step=digest, error=words, canceled=canceled))
        raise
    emit(StepDone(time_ns=clock(), step=digest))
