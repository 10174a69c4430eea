"""Runs a ``pier`` command against scripted answers: no socket, no process.

::

    result = run("volume ls -q", {"GET /volumes": {"Volumes": [{"Name": "a"}]}})
    assert result.out == "a\n"
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pierhead.cli import table
from pierhead.cli.errors import CliError
from pierhead.cli.flags import parse
from pierhead.cli.main import load, resolve
from pierhead.client.errors import ApiError, ClientError
from pierhead.client.json_fast import dumps


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, Any]
    body: Any
    headers: dict[str, str]


class FakeResponse:
    def __init__(self, answer: Any, status: int) -> None:
        self.status = status
        self._answer = answer
        self.headers = {"content-type": "application/json"}

    def json(self) -> Any:
        return self._answer

    def read(self) -> bytes:
        if isinstance(self._answer, bytes):
            return self._answer
        return dumps(self._answer).encode()

    def chunks(self) -> Iterator[bytes]:
        yield self.read()

    def objects(self) -> Iterator[Any]:
        yield from self._answer

    def close(self) -> None:
        pass


class FakeClient:
    """Answers from a table ``"METHOD /path" -> value``; a tuple is (status, message)."""

    def __init__(self, answers: Mapping[str, Any], version: str) -> None:
        self.host = "unix:///run/test.sock"
        self.version = version
        self.requests: list[Request] = []
        self._answers = answers

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> FakeResponse:
        if body is not None and not isinstance(body, (dict, list, bytes)):
            body = b"".join(body)
        given = {key: value for key, value in (query or {}).items() if value is not None}
        self.requests.append(Request(method, path, given, body, dict(headers or {})))
        answer = self._answers.get(f"{method} {path}")
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, tuple):
            raise ApiError(*answer)
        if f"{method} {path}" not in self._answers:
            raise ApiError(404, f"page not found: {method} {path}")
        return FakeResponse(answer, 200)

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        return self.request("GET", path, query).json()

    def post(self, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        return self.request("POST", path, query, body).json()

    def delete(self, path: str, query: Mapping[str, Any] | None = None) -> FakeResponse:
        return self.request("DELETE", path, query)

    def version_at_least(self, version: str) -> bool:
        return [int(part) for part in self.version.split(".")] >= [
            int(part) for part in version.split(".")
        ]


class FakeCli:
    """What commands get for a ``Cli``; output is collected."""

    def __init__(
        self, path: str, client: FakeClient, config: dict[str, Any], config_dir: str
    ) -> None:
        self.path = f"pier {path}"
        self.client = client
        self.config = config
        self.config_dir = config_dir
        self.debug = False
        self.written: list[bytes] = []
        self.complaints: list[str] = []

    def out(self, text: str) -> None:
        self.written.append(text.encode("utf-8", "surrogateescape"))

    def out_bytes(self, data: bytes) -> None:
        self.written.append(data)

    def err(self, text: str) -> None:
        self.complaints.append(text)


@dataclass
class Result:
    code: int
    out: str
    err: str
    requests: list[Request] = field(default_factory=list)

    @property
    def request(self) -> Request:
        """The only request that was made."""
        assert len(self.requests) == 1, self.requests
        return self.requests[0]


def run(
    line: str | Iterable[str],
    answers: Mapping[str, Any] | None = None,
    *,
    config: dict[str, Any] | None = None,
    config_dir: str = "/nonexistent",
    version: str = "1.56",
) -> Result:
    """Run a command line (without ``pier``) and return what it did."""
    words = shlex.split(line) if isinstance(line, str) else list(line)
    found = resolve(words)
    assert found is not None, words
    used = found[2]
    path = " ".join(words[:used])
    command = load(table.ALIASES.get(path, path))
    client = FakeClient(answers or {}, version)
    cli = FakeCli(path, client, {} if config is None else config, config_dir)
    code, last = 0, ""
    try:
        options, args = parse(command.flags, words[used:], interspersed=command.interspersed)
        code = command.run(cli, options, args) or 0  # type: ignore[arg-type]
    except CliError as error:
        code, last = error.code, error.message + "\n"
    except ClientError as error:
        code, last = 1, f"{error}\n"
    out = b"".join(cli.written).decode()
    return Result(code, out, "".join(cli.complaints) + last, client.requests)
