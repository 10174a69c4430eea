"""``--call``: targets, outline, lint; shapes of BuildKit's subrequests."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pierhead.build.dockerfile import parse
from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.model import Dockerfile, Range
from pierhead.build.model import BuildOptions, Warned
from pierhead.build.solve.describe import describe
from pierhead.build.solve.reading import Reading
from pierhead.errors import InvalidParameter

TEXT = b"""# global says what
ARG G=1
# base is the base
FROM busybox AS base
ARG A
RUN --mount=type=secret,id=token,required=true x
FROM scratch AS unneeded
ARG U=1
# app is it
FROM base AS app
# V is a version
ARG V=2
RUN --mount=type=ssh y
"""


class Fake:
    """A ``Reading`` that reads ``text``."""

    def __init__(self, text: bytes, **options: Any) -> None:
        self.options = BuildOptions(**options)
        self.definition = SimpleNamespace(name="Dockerfile", data=text)
        self.report = SimpleNamespace(warnings=[])

    async def read(self) -> Dockerfile:
        return parse(self.definition.data)

    async def check(self, base_env: Any) -> list[Warned]:
        return [Warned(time_ns=0, rule="R", text="t", description="d", url="u", lines=((2, 3),))]


def ask(call: str, text: bytes = TEXT, **options: Any) -> dict[str, Any]:
    return asyncio.run(describe(cast(Reading, Fake(text, **options)), call))


def test_targets() -> None:
    found = ask("targets")["targets"]
    assert [target["name"] for target in found] == ["base", "unneeded", "app"]
    assert found[0]["description"] == "is the base"
    assert [target.get("default", False) for target in found] == [False, False, True]


def test_outline() -> None:
    found = ask("frontend.outline", build_args={"A": "given"})
    assert (found["name"], found["description"]) == ("app", "is it")
    assert {arg["name"]: arg.get("value", "") for arg in found["args"]} == {
        "G": "1",
        "A": "given",
        "V": "2",
    }
    assert found["secrets"][0]["name"] == "token"
    assert found["secrets"][0]["required"]
    assert found["ssh"][0]["name"] == "default"


def test_lint() -> None:
    found = ask("check")
    assert found["warnings"][0]["ruleName"] == "R"
    assert found["warnings"][0]["location"]["ranges"] == [
        {"start": {"line": 2}, "end": {"line": 3}}
    ]
    assert found["sources"][0]["filename"] == "Dockerfile"


def test_a_fault_is_a_finding_of_lint() -> None:
    class Bad(Fake):
        async def read(self) -> Dockerfile:
            raise BuildError("bad", Range(1, 1))

    found = asyncio.run(describe(cast(Reading, Bad(b"")), "lint"))
    assert found["buildError"]["message"] == "bad"


def test_other_calls() -> None:
    with pytest.raises(InvalidParameter, match="unsupported call x"):
        ask("x")
    with pytest.raises(InvalidParameter, match="could not be found"):
        ask("outline", target="nope")
