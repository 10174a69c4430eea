"""Network namespaces for RUN steps: made once, used by one step after another.

Making one with its veth costs some 10 ms and its end another 20 in the kernel; a step of
``RUN echo`` takes less. All processes of a step are gone before the next one gets its
namespace, and without CAP_NET_ADMIN none can have changed it; a step that had more rights
(``--security=insecure``) takes its namespace with it. What nobody has used for ``IDLE_S``
goes. A namespace lives by a descriptor of ours, so none outlives this process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pierhead import tasks
from pierhead.build.model import NetworkMode
from pierhead.engine.networks.model import BRIDGE, NONE, Sandbox, SandboxRequest
from pierhead.engine.networks.service import NetworkService

log = logging.getLogger(__name__)

IDLE_S: Final = 2.0
_MODES: Final = {NetworkMode.DEFAULT: BRIDGE, NetworkMode.NONE: NONE}


@dataclass(slots=True, kw_only=True)
class Lent:
    """A namespace for one step. ``path`` is for the runtime spec; ``None``: the host's."""

    path: str | None
    mode: NetworkMode
    id: str = ""
    sandbox: Sandbox | None = None
    once: bool = False
    """In a network of its own choice: its resolv.conf is the sandbox's."""
    idle_since_s: float = 0.0

    def healthy(self) -> bool:
        """Whether its veth is still in the bridge (somebody may have made that one anew)."""
        if self.sandbox is None or self.mode is not NetworkMode.DEFAULT:
            return True
        given = self.sandbox.networks.get(BRIDGE)
        if given is None or not given.endpoint_id:
            return True
        return os.path.exists(f"/sys/class/net/veth{given.endpoint_id[:7]}/brport")


class NetworkPool:
    """Use from the event loop's thread."""

    def __init__(self, networks: NetworkService, directory: Path) -> None:
        """``directory`` is for files that nobody reads (the steps have their own)."""
        self._networks = networks
        self._directory = directory
        self._idle: list[Lent] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._dropping: asyncio.Task[None] | None = None

    async def take(self, mode: NetworkMode, name: str = "") -> Lent:
        """A namespace with its interfaces up. ``give_back`` it. Raises as ``attach`` does.

        ``name``: a network of this pierd to be in instead of the default bridge; such a
        namespace serves one step only. ``NotFound`` for an unknown one.
        """
        if name and mode is NetworkMode.DEFAULT:
            return await self._make(mode, self._networks.get(name).name, once=True)
        if mode is NetworkMode.HOST:
            return Lent(path=None, mode=mode)
        for number in range(len(self._idle) - 1, -1, -1):
            if self._idle[number].mode is mode:
                lent = self._idle.pop(number)
                if lent.healthy():
                    return lent
                await self._drop(lent)
        return await self._make(mode, _MODES[mode])

    async def _make(self, mode: NetworkMode, network: str, *, once: bool = False) -> Lent:
        lent_id = f"build-{secrets.token_hex(12)}"
        directory = self._directory / lent_id
        sandbox = await self._networks.attach(
            SandboxRequest(
                container_id=lent_id,
                name="",
                hostname="",
                directory=directory,
                mode=network,
                quiet=True,
            )
        )
        lent = Lent(path=sandbox.netns_path, mode=mode, id=lent_id, sandbox=sandbox, once=once)
        try:
            await sandbox.ready()
        except BaseException:
            await self._drop(lent)
            raise
        return lent

    async def give_back(self, lent: Lent, *, clean: bool = True) -> None:
        """The step has ended. ``clean`` False: it may have changed the namespace."""
        if lent.sandbox is None:
            return
        if lent.once or not clean:
            await self._drop(lent)
            return
        lent.idle_since_s = time.monotonic()
        self._idle.append(lent)
        self._plan()

    async def _drop(self, lent: Lent) -> None:
        if lent.sandbox is not None:
            lent.sandbox.release()
        await self._networks.detach(lent.id)
        shutil.rmtree(self._directory / lent.id, ignore_errors=True)

    def _plan(self) -> None:
        if self._sweeper is None and self._idle:
            delay_s = max(0.0, self._idle[0].idle_since_s + IDLE_S - time.monotonic())
            self._sweeper = asyncio.get_running_loop().call_later(delay_s + 0.1, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        oldest_s = time.monotonic() - IDLE_S
        old = [lent for lent in self._idle if lent.idle_since_s <= oldest_s]
        self._idle = [lent for lent in self._idle if lent.idle_since_s > oldest_s]
        if old:
            self._dropping = tasks.spawn(
                self._drop_all(old, after=self._dropping), name="end idle build networks"
            )
        self._plan()

    async def _drop_all(
        self, lents: list[Lent], *, after: asyncio.Task[None] | None = None
    ) -> None:
        if after is not None:
            await after
        for lent in lents:
            try:
                await self._drop(lent)
            except Exception:
                log.exception("can't end a build's network", extra={"id": lent.id})

    async def close(self) -> None:
        """End all that are idle."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        idle, self._idle = self._idle, []
        await self._drop_all(idle, after=self._dropping)
