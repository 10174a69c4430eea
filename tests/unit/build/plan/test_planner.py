"""Stages, targets, bases, triggers."""

from __future__ import annotations

import random

import pytest

from pierhead.build.dockerfile import BuildError, parse
from pierhead.build.plan.model import (
    CopyOp,
    FromContext,
    FromImage,
    FromNothing,
    FromStage,
    RunOp,
)
from pierhead.build.plan.planner import Base, Planner, Request
from pierhead.errors import InvalidParameter, PierError
from pierhead.oci.platform import Platform

from .conftest import AMD64, Make, busybox


def test_only_needed_stages_are_planned(plan: Make) -> None:
    found = plan(
        "FROM busybox AS a\nRUN a\nFROM busybox AS unneeded\nRUN b\n"
        "FROM a AS c\nCOPY --from=0 /x /\nFROM scratch\nCOPY --from=c / /\n"
    )
    assert sorted(found.stages) == [0, 2, 3]
    assert found.stages[2].base == FromStage(0)
    assert found.stages[3].base == FromNothing()
    assert found.target == 3


def test_names_of_steps(plan: Make) -> None:
    found = plan("FROM busybox AS a\nRUN one\nENV X=1\nRUN two $X\nFROM a\nWORKDIR /w\n")
    first, second = found.stages[0], found.stages[1]
    assert first.base_step == "[a 1/3] FROM docker.io/busybox"
    assert [step.name for step in first.steps] == ["[a 2/3] RUN one", "", "[a 3/3] RUN two 1"]
    assert second.base_step == ""
    assert [step.name for step in second.steps] == ["[stage-1 1/1] WORKDIR /w"]
    alone = plan("FROM busybox\n" + "run x\n" * 10)
    assert alone.stages[0].steps[0].name == "[ 2/11] RUN x"


def test_the_image_of_a_plain_build(plan: Make) -> None:
    config = plan("FROM busybox\nENV A=1\nRUN x\nCMD y\n", labels={"l": "1"}).stages[0].config
    assert config.config.env == ["PATH=/bin", "A=1"]
    assert config.config.labels == {"l": "1"}
    assert [(entry.created_by, entry.empty_layer) for entry in config.history] == [
        ("base", False),
        ("ENV A=1", True),
        ("RUN /bin/sh -c x # buildkit", False),
        ('CMD ["/bin/sh" "-c" "y"]', True),
    ]


def test_the_classic_image(plan: Make) -> None:
    found = plan("FROM busybox\nCOPY a /b\nARG Q=1\nRUN x\n", classic=True, labels={"l": "1"})
    texts = [entry.created_by for entry in found.stages[0].config.history]
    assert texts[1:] == [
        "/bin/sh -c #(nop) COPY {files} in /b ",
        "/bin/sh -c #(nop)  ARG Q=1",
        "|1 Q=1 /bin/sh -c x",
        "/bin/sh -c #(nop)  LABEL l=1",
    ]


def test_arguments_and_their_scopes(plan: Make) -> None:
    found = plan(
        "ARG V=1\nARG G=global\nFROM busybox AS a\nARG G\nARG L=l$G\nRUN a\n"
        "FROM busybox\nARG V\nRUN b\n",
        build_args={"V": "2"},
        target="",
    )
    run = found.stages[1].steps[1].op
    assert isinstance(run, RunOp)
    assert "V=2" in run.env
    assert not any(item.startswith("G=") for item in run.env)
    found = plan("ARG G=g\nFROM busybox\nARG G\nARG L=l$G\nRUN a\n")
    run = found.stages[0].steps[2].op
    assert isinstance(run, RunOp)
    assert run.env == ["PATH=/bin", "G=g", "L=lg"]


def test_proxies_are_no_part_of_the_environment(plan: Make) -> None:
    found = plan("FROM busybox\nRUN a\n", build_args={"HTTP_PROXY": "http://p"})
    run = found.stages[0].steps[0].op
    assert isinstance(run, RunOp)
    assert run.env == ["PATH=/bin"]
    assert "http_proxy=http://p" in run.proxies
    assert found.stages[0].steps[0].created_by == "RUN /bin/sh -c a # buildkit"


def test_triggers_of_images_and_of_stages(plan: Make) -> None:
    image = busybox(on_build=["COPY --from=helper /h /", "RUN t"])
    found = plan(
        "FROM busybox AS helper\nFROM parent AS p\nONBUILD ENV X=1\nFROM p\nRUN z\n",
        {"parent": image},
    )
    assert sorted(found.stages) == [0, 1, 2]
    parent, child = found.stages[1], found.stages[2]
    assert [step.text for step in parent.steps] == [
        "COPY --from=helper /h /",
        "RUN t",
        "ONBUILD ENV X=1",
    ]
    assert parent.steps[0].name == "[p 2/3] ONBUILD COPY --from=helper /h /"
    assert parent.config.config.on_build == ["ENV X=1"]
    assert [step.text for step in child.steps] == ["ENV X=1", "RUN z"]
    assert child.config.config.on_build is None


def test_named_contexts_win(plan: Make) -> None:
    found = plan(
        "FROM busybox:latest AS a\nRUN x\nFROM scratch\nCOPY --from=a /x /\nCOPY --from=c /y /\n",
        named_contexts=frozenset({"a", "c"}),
    )
    assert found.stages[0].base == FromContext("a")
    assert found.stages[0].steps == []
    assert found.context_paths == {"a": [], "c": ["y"]}
    found = plan("FROM busybox:latest\nRUN x\n", named_contexts=frozenset({"busybox"}))
    assert found.stages[0].base == FromContext("busybox")


def test_platforms_of_stages(plan: Make) -> None:
    arm = Platform("linux", "arm64")
    found = plan(
        "FROM --platform=$BUILDPLATFORM busybox AS tools\nRUN x\n"
        "FROM busybox\nARG TARGETARCH\nRUN y\nCOPY --from=tools /a /\n",
        platform=arm,
        show_platform=True,
    )
    assert found.stages[0].base == FromImage("busybox", AMD64)
    assert found.stages[0].steps[0].name == "[linux/amd64 tools 2/2] RUN x"
    assert found.stages[1].base == FromImage("busybox", arm)
    run = found.stages[1].steps[1].op
    assert isinstance(run, RunOp)
    assert "TARGETARCH=arm64" in run.env


def test_copies(plan: Make) -> None:
    found = plan(
        "FROM busybox\nWORKDIR /w\nADD --chown=1:2 a https://x.org/b.tar git://h/r c d/\n"
        "COPY <<EOF /e\nhello $PATH\nEOF\n"
    )
    op = found.stages[0].steps[1].op
    assert isinstance(op, CopyOp)
    assert [part.request.sources for part in op.parts] == [
        ("a",),
        ("https://x.org/b.tar",),
        ("/",),
        ("c",),
    ]
    assert [part.request.unpack for part in op.parts] == [True, False, False, True]
    assert op.request.destination == "/w/d/"
    inline = found.stages[0].steps[2].op
    assert isinstance(inline, CopyOp)
    assert inline.parts[0].request.inline[0].data == b"hello /bin\n"
    assert found.context_paths == {"": ["a", "c"]}


def test_heredocs_that_run(plan: Make) -> None:
    found = plan(
        "FROM busybox\nRUN <<EOF\necho a\necho b\nEOF\nRUN <<S\n#!/bin/awk\nx\nS\n"
        "RUN cat <<A >/x\nin\nA\n"
    )
    plain, script, mixed = (step.op for step in found.stages[0].steps)
    assert isinstance(plain, RunOp) and isinstance(script, RunOp) and isinstance(mixed, RunOp)
    assert plain.args == ["/bin/sh", "-c", "echo a\necho b\n"]
    assert found.stages[0].steps[0].name == "[2/4] RUN <<EOF (echo a...)"
    assert script.args == ["/dev/pipes/S"]
    assert script.files[0].data == b"#!/bin/awk\nx\n"
    assert mixed.args == ["/bin/sh", "-c", "cat <<A >/x\nin\nA"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM busybox AS a\nCOPY --from=b x /\nFROM busybox AS b", "needs to be defined before"),
        ("FROM busybox AS a\nCOPY --from=a x /", "circular dependency"),
        ("FROM busybox\nCOPY --from=7 x /", "invalid stage index"),
        ("FROM $NO", "should not be blank"),
        ("FROM --platform=$NO busybox", "empty platform value"),
        ("FROM busybox\nSTOPSIGNAL nope!", "invalid signal"),
        ("FROM busybox\nCOPY https://x.org/a /", "source can't be a URL for COPY"),
        ("FROM busybox\nADD --checksum=sha256:00 a /", "checksum requires"),
        ("FROM busybox\nRUN --mount=type=tmpfs,target=/ x", "invalid mount target"),
        ("FROM busybox\nENV A=${B:?gone}", "gone"),
    ],
)
def test_what_can_not_be(plan: Make, text: str, message: str) -> None:
    with pytest.raises(BuildError, match=message) as raised:
        plan(text + "\n", target="a" if " AS a" in text else "")
    assert raised.value.location is not None


def test_targets() -> None:
    dockerfile = parse(b"FROM busybox AS build\nFROM busybox\n")
    with pytest.raises(BuildError, match=r'"bild" could not be found \(did you mean build\?\)'):
        Planner(dockerfile, Request(build_platform=AMD64, target="bild"))
    with pytest.raises(InvalidParameter, match="failed to reach build target bild"):
        Planner(dockerfile, Request(build_platform=AMD64, target="bild", classic=True))
    planner = Planner(dockerfile, Request(build_platform=AMD64, target="BUILD"))
    assert planner.needed() == [0]


def test_an_epoch_clamps_everything(plan: Make) -> None:
    found = plan("FROM busybox\nCOPY a /\nWORKDIR /x\n", build_args={"SOURCE_DATE_EPOCH": "7"})
    assert found.epoch_s == 7
    copy = found.stages[0].steps[0].op
    assert isinstance(copy, CopyOp)
    assert copy.request.epoch_s == 7
    with pytest.raises(BuildError, match="invalid SOURCE_DATE_EPOCH: x"):
        plan("FROM busybox\n", build_args={"SOURCE_DATE_EPOCH": "x"})


def test_who_asks_for_a_base() -> None:
    dockerfile = parse(b"FROM busybox AS a\nFROM debian\nCOPY --from=a / /\n")
    planner = Planner(dockerfile, Request(build_platform=AMD64))
    wanted = FromImage("debian", AMD64)
    assert planner.asked_by(wanted) == 1
    place = planner.where(wanted)
    assert place is not None and place.first == 2
    planner.provide(wanted, Base(config=busybox(), name="debian"))
    assert planner.missing() == [FromImage("busybox", AMD64)]


LINES = (
    "FROM busybox", "FROM busybox AS a", "FROM a", "FROM scratch", "FROM $X AS b", "ARG X=busybox",
    "FROM --platform=$BUILDPLATFORM busybox", "FROM --platform=x/y/z/w busybox", "FROM b AS a",
    "ARG X", "ARG X=1 Y=$X", "ENV A=1 B=$A", "ENV A $X", "ENV =1", "RUN x $A", 'RUN ["a", "b"]',
    "RUN --mount=type=cache,target=/c x", "RUN --mount=from=a,target=/m x",
    "RUN --mount=type=bind,from=0 x", "RUN --mount=type=secret,id=$X x", "RUN --mount=type=$X x",
    "RUN --network=none x", "RUN --security=insecure x", "RUN <<E\nx\nE", "RUN <<E cat\n\xffx\nE",
    "COPY a b /c/", "COPY --from=a a /", "COPY --from=0 a /", "COPY --from=99 a /", "COPY a",
    "COPY --from=$X a /", "COPY <<E /x\n$A\nE", "COPY --parents ./a/./b /", "ADD a http://x/y /",
    "ADD --checksum=sha256:0 http://x/y /", "ADD git@x:y.git#z /", "WORKDIR x", "WORKDIR $A/..",
    "WORKDIR /", "USER $A", "USER a:b", "EXPOSE 80 1-2/udp $X", "EXPOSE 99999", "VOLUME /a $X",
    'VOLUME ["a"]', "CMD x", 'CMD ["y"]', "CMD", "ENTRYPOINT x", "HEALTHCHECK NONE", "LABEL a=$A",
    "HEALTHCHECK --interval=1s CMD x", 'SHELL ["s", "-c"]', "SHELL x", "STOPSIGNAL $X",
    "STOPSIGNAL 9", "ONBUILD RUN x", "ONBUILD COPY --from=a a /", "ONBUILD FROM x",
    "ONBUILD ONBUILD RUN x", "MAINTAINER m", "LABEL ${A:?no}=1", "ENV P=${A%%x*} Q=${A/b/c}",
)  # fmt: skip


@pytest.mark.parametrize("classic", [False, True])
def test_random_dockerfiles(plan: Make, classic: bool) -> None:
    """They end in a plan or in an error that says where; never in a crash."""
    dice = random.Random(7)
    planned = 0
    for _ in range(400):
        lines = dice.choices(LINES, k=dice.randint(1, 12))
        if dice.random() < 0.8:
            lines.insert(0, "FROM busybox AS a")
        try:
            plan("\n".join(lines) + "\n", classic=classic, target=dice.choice(["", "", "a"]))
        except PierError:
            continue
        planned += 1
    assert planned > 10
