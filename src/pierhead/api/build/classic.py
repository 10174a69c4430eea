"""The client of ``POST /build``: a tar as the context, and credentials from a header."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pierhead.build.model import Listing, Output, Receiver, SshAgent, Wanted
from pierhead.errors import InvalidParameter, NotFound

if TYPE_CHECKING:
    from pierhead.distribution.credentials import Credentials

_HUB: Final = ("docker.io", "index.docker.io", "registry-1.docker.io")


class ClassicClient:
    """``build.model.Client`` of one request. It has no secrets and no agent."""

    def __init__(
        self,
        tar: AsyncIterator[bytes],
        credentials: Mapping[str, Credentials],
        message: Callable[[dict[str, Any]], None],
    ) -> None:
        self._tar = tar
        self._credentials = {host_of(server): given for server, given in credentials.items()}
        self.message = message
        """Takes the messages of pulls of base images."""

    async def local(self, name: str, wanted: Wanted) -> AsyncIterator[Listing]:
        raise NotFound(f"no local source {name}: the classic builder's client sends one tar")
        yield  # an async generator

    async def context_tar(self) -> AsyncIterator[bytes] | None:
        return self._tar

    async def secret(self, secret_id: str) -> bytes | None:
        return None

    async def ssh(self, agent_id: str) -> SshAgent | None:
        return None

    async def credentials(self, host: str) -> tuple[str, str] | None:
        given = self._credentials.get(host_of(host))
        if given is None:
            return None
        if given.identity_token:
            return "", given.identity_token
        return given.username, given.password

    def receive(self, output: Output) -> Receiver:
        raise InvalidParameter(f"the classic builder has no output of type {output.type}")


def host_of(server: str) -> str:
    """A registry as clients name it (``https://index.docker.io/v1/``) → its host."""
    host = server.partition("://")[2] or server
    host = host.partition("/")[0].lower()
    return "docker.io" if host in _HUB else host
