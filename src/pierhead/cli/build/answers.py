"""What the daemon asks during a build, answered from this machine.

Each question opens a channel (see ``client/build_wire.py``). An answer is an iterator of
DATA payloads, so that a walk or a large file leaves room for everything else; the loop in
``door`` sends them as the window allows.
"""

from __future__ import annotations

import posix

from pierhead.cli.build import walk
from pierhead.client import build_wire as wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from pierhead.cli.build.receive import Target
    from pierhead.cli.main import Cli

#: As BuildKit: larger files are no secrets.
SECRET_LIMIT_BYTES = 500 * 1024


class Refused(Exception):
    """The question has no answer; ``kind`` is one of the daemon's error kinds."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class Answers:
    """Everything a build may ask this client for."""

    def __init__(
        self,
        cli: Cli,
        *,
        directories: dict[str, str],
        secrets: dict[str, dict[str, str]],
        agents: dict[str, str],
        outputs: dict[int, Callable[[], Target]],
        tar: Callable[[], Iterator[bytes]] | None = None,
    ) -> None:
        self._cli = cli
        self._directories = directories
        self._secrets = secrets
        #: Id of an ssh agent -> its socket
        self.agents = agents
        self._outputs = outputs
        self._tar = tar
        #: Stream of a walk -> name of its source, its root, the files that were listed.
        self._walks: dict[int, tuple[str, str, set[str]]] = {}

    def answer(self, channel: int, question: dict[str, Any]) -> Iterator[bytes]:
        """Payloads of an answer that is data. Raises ``Refused``."""
        what = question.get("op")
        if what == "local":
            return self._local(channel, question)
        if what == "content":
            return self._content(question)
        if what == "context":
            if self._tar is None:
                raise Refused("not_found", "the context is no archive")
            return self._tar()
        if what == "secret":
            return iter((self._secret(str(question.get("id", ""))),))
        if what == "ssh":
            self.agent(str(question.get("id", "")))
            return iter(())
        if what == "credentials":
            return iter((self._credentials(str(question.get("host", ""))),))
        raise Refused("invalid", f"unknown question {what}")

    def close(self, channel: int) -> None:
        """A channel is over: its walk isn't asked for contents any more."""
        self._walks.pop(channel, None)

    def _local(self, channel: int, question: dict[str, Any]) -> Iterator[bytes]:
        name = str(question.get("name", ""))
        root = self._directories.get(name)
        if root is None:
            raise Refused("not_found", f"no local source {name}")
        listed: set[str] = set()
        self._walks[channel] = name, root, listed
        return _listing(
            root,
            listed,
            question.get("include") or (),
            question.get("exclude") or (),
            question.get("follow") or (),
        )

    def _content(self, question: dict[str, Any]) -> Iterator[bytes]:
        walked = self._walks.get(int(question.get("of", 0)))
        path = str(question.get("path", ""))
        if walked is None:
            raise Refused("not_found", "the listing is closed")
        name, root, listed = walked
        if path not in listed and not _of_layout(name, path):
            # Nothing else of this machine is the daemon's business.
            raise Refused("invalid", f"{path} is no file of the listing")
        return walk.content(root, path, wire.CHUNK_BYTES)

    def _secret(self, name: str) -> bytes:
        secret = self._secrets.get(name)
        if secret is None:
            raise Refused("not_found", f"secret {name} not found")
        if variable := secret.get("env"):
            value = posix.environ.get(variable.encode())
            if value is None:
                raise Refused("not_found", f"secret {name}: environment has no {variable}")
            return value
        try:
            data = read_file(secret["src"], SECRET_LIMIT_BYTES)
        except OSError as error:
            raise Refused("invalid", f"secret {name}: {error_text(error)}") from None
        if len(data) > SECRET_LIMIT_BYTES:
            raise Refused("invalid", f"invalid secret size {len(data)}: at most 500KiB")
        return data

    def agent(self, name: str) -> str:
        """The socket of an ssh agent. Raises ``Refused``."""
        path = self.agents.get(name or "default")
        if not path:
            raise Refused("not_found", f"no ssh agent {name}: use --ssh")
        return path

    def _credentials(self, host: str) -> bytes:
        from pierhead.cli.registry import credentials

        found = credentials.get(self._cli, credentials.config_key(host))
        if found.get("identitytoken"):
            return wire.encode(["", found["identitytoken"]])
        if found.get("username"):
            return wire.encode([found["username"], found.get("password", "")])
        return b"null"

    def receiver(self, number: int) -> Target:
        """Where an output goes. Raises ``Refused`` and ``OSError``."""
        make = self._outputs.get(number)
        if make is None:
            raise Refused("not_found", f"no output {number}")
        return make()


def _of_layout(source: str, path: str) -> bool:
    """Whether a source is an OCI layout and ``path`` one of its files: known without a list."""
    if not source.startswith(("oci-layout:", "cache-from:")):
        return False
    digest = path.removeprefix("blobs/sha256/")
    return path == "index.json" or (digest != path and digest.isalnum())


def _listing(
    root: str, listed: set[str], include: Any, exclude: Any, follow: Any
) -> Iterator[bytes]:
    batch: list[list[Any]] = []
    for entry in walk.walk(root, include, exclude, follow):
        batch.append(entry)
        if entry[1] & 0o170000 == 0o100000:
            listed.add(entry[0])
        if len(batch) == wire.ENTRIES_AT_A_TIME:
            yield wire.encode(batch)
            batch = []
    if batch:
        yield wire.encode(batch)


def read_file(path: str, limit_bytes: int) -> bytes:
    """A file's bytes, at most one more than the limit. Raises ``OSError``."""
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        data = b""
        while len(data) <= limit_bytes and (part := posix.read(fd, 1 << 16)):
            data += part
    finally:
        posix.close(fd)
    return data[: limit_bytes + 1]


def error_text(error: OSError) -> str:
    """``open /x: no such file or directory``, as Go says it."""
    reason = (error.strerror or str(error)).lower()
    return f"open {error.filename}: {reason}" if error.filename else reason
