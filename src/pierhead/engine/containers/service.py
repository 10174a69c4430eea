"""The front door of the room: one method a verb. Decisions and work are in the verb's module.

``ref`` is a container's id, a unique prefix of it, or its name with or without the leading
slash. Unless said otherwise methods raise ``NotFound("No such container: <ref>")`` for an
unknown reference and ``Conflict`` when the container's state does not allow the verb.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any

from pierhead.engine.config import ContainerConfig, HostConfig, NetworkingConfig, RestartPolicy
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import ContainerSettings, Context
from pierhead.engine.containers.model import ExecConfig

if TYPE_CHECKING:
    from pierhead.engine.containers.attach import AttachSession
    from pierhead.engine.containers.exec import ExecSession
    from pierhead.engine.filters import Filters


class ContainerService:
    """All containers of this pierd."""

    def __init__(
        self,
        *,
        paths: Any,
        db: Any,
        images: Any,
        snapshots: Any,
        networks: Any,
        volumes: Any,
        runtime: Any,
        conmon: Any,
        events: Any,
        settings: ContainerSettings,
    ) -> None:
        raise NotImplementedError

    # -- which ones there are ------------------------------------------------------------

    def get(self, ref: str) -> Container:
        """Return the container. ``InvalidParameter`` if a prefix fits several."""
        raise NotImplementedError

    def all(self) -> list[Container]:
        """Every container, newest first."""
        raise NotImplementedError

    def list(self, *, all: bool, limit: int, size: bool, filters: Filters) -> list[dict[str, Any]]:
        """Summaries for ``GET /containers/json``, newest first. ``limit`` 0 or less: no limit."""
        raise NotImplementedError

    async def list_json(self, *, all: bool, limit: int, size: bool, filters: Filters) -> bytes:
        """The same, already encoded (parts are cached); computes sizes when asked."""
        raise NotImplementedError

    async def inspect(self, ref: str, *, size: bool = False) -> dict[str, Any]:
        """The newest API version's inspect object."""
        raise NotImplementedError

    # -- life ----------------------------------------------------------------------------

    async def create(
        self,
        name: str | None,
        config: ContainerConfig,
        host_config: HostConfig,
        networking: NetworkingConfig,
        platform: str | None = None,
    ) -> tuple[str, list[str]]:
        """Make a container, return its id and warnings."""
        raise NotImplementedError

    async def start(self, ref: str, *, detach_keys: str | None = None) -> None:
        """``NotModified`` when it runs already."""
        raise NotImplementedError

    async def stop(
        self, ref: str, *, signal: str | None = None, timeout_s: int | None = None
    ) -> None:
        """``NotModified`` when it does not run. ``timeout_s`` -1 waits for ever."""
        raise NotImplementedError

    async def restart(
        self, ref: str, *, signal: str | None = None, timeout_s: int | None = None
    ) -> None:
        raise NotImplementedError

    async def kill(self, ref: str, signal: str | None = None) -> None:
        raise NotImplementedError

    async def pause(self, ref: str) -> None:
        raise NotImplementedError

    async def unpause(self, ref: str) -> None:
        raise NotImplementedError

    async def rename(self, ref: str, name: str) -> None:
        raise NotImplementedError

    async def update(
        self, ref: str, resources: HostConfig, restart_policy: RestartPolicy | None
    ) -> list[str]:
        """Change limits (fields of ``resources`` that are not zero) and the restart policy."""
        raise NotImplementedError

    def register_wait(
        self, ref: str, condition: str = "not-running"
    ) -> Awaitable[tuple[int, str | None]]:
        """Registered when this returns: send headers, then await (exit code, error text)."""
        raise NotImplementedError

    async def remove(
        self, ref: str, *, force: bool = False, volumes: bool = False, link: bool = False
    ) -> None:
        raise NotImplementedError

    async def prune(self, filters: Filters) -> tuple[list[str], int]:
        """Remove what does not run; return the ids and the bytes that were freed."""
        raise NotImplementedError

    async def commit(
        self,
        ref: str,
        *,
        repo: str,
        tag: str,
        author: str,
        comment: str,
        pause: bool,
        changes: list[str],
        config: ContainerConfig | None = None,
    ) -> str:
        """Make an image of the container's file system; return the image's id."""
        raise NotImplementedError

    # -- streams -------------------------------------------------------------------------

    def prepare_attach(
        self,
        ref: str,
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        stream: bool,
        logs: bool,
        detach_keys: str | None = None,
    ) -> AttachSession:
        """Check and register a client. Answer 101/200 then, and ``await session.run(io)``.

        ``session.tty`` says whether the stream is raw. ``session.cancel()`` if the answer
        could not be sent.
        """
        raise NotImplementedError

    def logs(
        self,
        ref: str,
        *,
        stdout: bool,
        stderr: bool,
        since_ns: int = 0,
        until_ns: int = 0,
        tail: int | None = None,
        timestamps: bool = False,
        follow: bool = False,
        details: bool = False,
    ) -> AsyncIterator[tuple[int, bytes]]:
        """Yield (stream, bytes). Checks at the call, reads while iterated."""
        raise NotImplementedError

    async def resize(self, ref: str, height: int, width: int) -> None:
        raise NotImplementedError

    # -- exec ----------------------------------------------------------------------------

    async def exec_create(self, ref: str, config: ExecConfig) -> str:
        raise NotImplementedError

    def prepare_exec(
        self,
        exec_id: str,
        *,
        detach: bool = False,
        tty: bool | None = None,
        console_size: tuple[int, int] | None = None,
    ) -> ExecSession:
        """Check and claim an exec. Then ``await session.run(io)`` or ``run_detached()``.

        Once claimed it can't be started again. A process that can't be started is told on
        the stream, as Docker does; detached it raises.
        """
        raise NotImplementedError

    def exec_inspect(self, exec_id: str) -> dict[str, Any]:
        raise NotImplementedError

    async def exec_resize(self, exec_id: str, height: int, width: int) -> None:
        raise NotImplementedError

    # -- looking in ----------------------------------------------------------------------

    async def top(self, ref: str, ps_args: str = "") -> dict[str, Any]:
        """``{"Titles": [...], "Processes": [[...]]}``."""
        raise NotImplementedError

    def stats(
        self, ref: str, *, stream: bool, one_shot: bool = False
    ) -> AsyncIterator[dict[str, Any]]:
        """One object a second; one with ``precpu_stats`` filled when not streaming."""
        raise NotImplementedError

    # -- the daemon's own life -----------------------------------------------------------

    async def recover(self) -> None:
        """Make records and reality agree after a start of pierd; then restart what should run."""
        raise NotImplementedError

    async def shutdown(self) -> None:
        """Stop watching. Containers go on."""
        raise NotImplementedError

    def images_in_use(self) -> dict[str, list[Container]]:
        """Containers by the id of the image they were made from."""
        raise NotImplementedError
