from __future__ import annotations

import random

import pytest

from pierhead.build.dockerfile import checks, expand, model
from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.model import Range
from pierhead.build.dockerfile.parser import parse, parse_instruction
from pierhead.errors import NotFound

TEXT = b"""# syntax=docker/dockerfile:1
# escape=\\
# check=skip=JSONArgsRecommended

ARG VERSION=1
ARG BASE

# build compiles it
FROM debian:${VERSION} AS build
RUN <<EOF
make
EOF
COPY --from=0 a b /c/

FROM --platform=linux/amd64 scratch
COPY --from=build /x /
CMD ["/x"]
"""


def test_parse() -> None:
    found = parse(TEXT)
    assert found.directives == {
        "syntax": "docker/dockerfile:1",
        "escape": "\\",
        "check": "skip=JSONArgsRecommended",
    }
    assert found.directive_locations["check"] == Range(3, 3)
    assert [pair.key for arg in found.args for pair in arg.pairs] == ["VERSION", "BASE"]
    build, last = found.stages
    assert (build.base, build.name, build.description) == (
        "debian:${VERSION}",
        "build",
        "compiles it",
    )
    assert [item.name for item in build.instructions] == ["RUN", "COPY"]
    assert build.instructions[0].location == Range(10, 12)
    assert (last.platform, last.location) == ("linux/amd64", Range(15, 15))


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        (b"", "the Dockerfile cannot be empty", None),
        (b"# x\n", "file with no instructions", 1),
        (b"ARG x\n", "dockerfile contains no stages to build", None),
        (b"RUN x\n", "no build stage in current context", 1),
        (b"FROM x\nWIDGET\n", "dockerfile parse error on line 2: unknown instruction: WIDGET", 2),
        (
            b"FROM x\n\nCPY \\\n a b\n",
            "dockerfile parse error on line 3: unknown instruction: CPY (did you mean COPY?)",
            3,
        ),
        (b"FROM x\nRUN <<E\n", "unterminated heredoc", 2),
        (b"FROM x\nENV a\n", "ENV must have two arguments", 2),
        (
            b"FROM x\nINCLUDE y\n",
            "dockerfile parse error on line 2: unknown instruction: INCLUDE"
            " (INCLUDE needs '# pier: include' at the top of the Dockerfile)",
            2,
        ),
    ],
)
def test_faults(text: bytes, message: str, line: int | None) -> None:
    with pytest.raises(BuildError) as caught:
        parse(text)
    assert caught.value.message == message
    assert (caught.value.location.first if caught.value.location else None) == line
    assert message in caught.value.render()
    assert caught.value.kind == "invalid"
    lexical = message.startswith(("file with", "unterminated", "ENV must"))
    assert caught.value.lexical is lexical


FILES = {
    "common": b"# about it\nENV A=1\nINCLUDE deeper/run\n",
    "deeper/run": b"RUN x\n",
    "loop": b"INCLUDE loop\n",
    "stage": b"FROM y AS other\nRUN y\n",
    "bad": b"FOO\n",
    "tick": b"# escape=`\nRUN x\n",
}


def read(path: str) -> bytes:
    if path not in FILES:
        raise NotFound(f"{path}: no such file")
    return FILES[path]


def test_include() -> None:
    text = b"# pier: include\nFROM x\nINCLUDE common\nCMD z\nINCLUDE stage\n"
    found = parse(text, include=read)
    first, second = found.stages
    assert [(item.name, item.location) for item in first.instructions] == [
        ("ENV", Range(2, 2, "common")),
        ("RUN", Range(1, 1, "deeper/run")),
        ("CMD", Range(4, 4)),
    ]
    assert (second.name, second.location.file) == ("other", "stage")
    assert set(found.source.included) == {"common", "deeper/run", "stage"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"INCLUDE", "INCLUDE requires exactly one argument"),
        (b"INCLUDE a b", "INCLUDE requires exactly one argument"),
        (b"INCLUDE --x a", "INCLUDE takes no flags: --x"),
        (b"INCLUDE $x", "INCLUDE doesn't expand variables"),
        (b"INCLUDE none", "INCLUDE none: none: no such file"),
        (b"INCLUDE loop", "goes round in circles: loop → loop"),
        (b"INCLUDE tick", "another escape directive"),
        (b"INCLUDE common\n" * 101, "INCLUDE is used more than 100 times"),
        (b"INCLUDE bad", "dockerfile parse error on line 1: unknown instruction: FOO"),
    ],
)
def test_include_faults(line: bytes, message: str) -> None:
    with pytest.raises(BuildError) as caught:
        parse(b"# pier: include\nFROM x\n" + line, include=read)
    assert message in caught.value.message
    if b"bad" in line:
        assert caught.value.excerpt().startswith("bad:1\n")


def test_include_needs_a_context() -> None:
    with pytest.raises(BuildError, match="needs a build context"):
        parse(b"# pier: include\nFROM x\nINCLUDE a\n")


def test_parse_instruction() -> None:
    run = parse_instruction("RUN <<E\nx\nE", location=Range(4, 4))
    assert isinstance(run, model.Run)
    assert run.location == Range(4, 4)
    assert run.heredocs[0].text == "x\n"
    for text in ("RUN a\nRUN b", "FROM x", "FOO", ""):
        with pytest.raises(BuildError):
            parse_instruction(text)
    backtick = parse_instruction("ENV a=b` c", escape="`")
    assert isinstance(backtick, model.Env)
    assert backtick.pairs[0].value == "b` c"


PIECES = [
    b"FROM a AS b\n", b"RUN ", b"COPY ", b"<<EOF ", b"EOF\n", b"\\\n", b"\n", b" ", b'"', b"'",
    b"--mount=type=cache,target=/x ", b"--from=b ", b"$x", b"${x:-", b"}", b"[", b"]", b'["a"]',
    b"ENV a=b ", b"ARG x=", b"ONBUILD ", b"HEALTHCHECK CMD ", b"# check=skip=all\n", b"\xff",
    b"EXPOSE 1:2:3/TCP\n", b"\x00", b"\t", b"=", b"INCLUDE common\n", b"# pier: include\n",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_no_text_does_more_than_fail(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(400):
        text = b"".join(chance.choice(PIECES) for _ in range(chance.randint(0, 20)))
        try:
            found = parse(text, include=read)
            checks.run(found, platform_args={})
            for stage in found.stages:
                for item in stage.instructions:
                    expand.instruction(item, {"x": "y"})
        except BuildError as error:
            assert error.render()
