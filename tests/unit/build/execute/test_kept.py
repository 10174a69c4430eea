"""Kept failed steps: their records, found again and read again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pierhead.build.execute.kept import (
    KEEP_AT_MOST,
    Kept,
    KeptSteps,
    decode,
    encode,
    optional,
    shell_of,
)
from pierhead.build.execute.model import MountKind, RunStep, Sharing, StepFile, StepMount
from pierhead.build.files.model import Source, SourceKind
from pierhead.build.model import Limits, NetworkMode
from pierhead.errors import Conflict, NotFound
from pierhead.oci.digest import ChainId
from pierhead.oci.platform import Platform

CHAIN = Source(kind=SourceKind.CHAIN, name="build", chain_id=ChainId("sha256:aa"))
STEP = RunStep(
    args=["/bin/bash", "-ec", "x"],
    env=["A=1"],
    mounts=[
        StepMount(kind=MountKind.BIND, target="/b", source=CHAIN),
        StepMount(kind=MountKind.CACHE, target="/c", sharing=Sharing.LOCKED, mode=0o700),
        StepMount(kind=MountKind.SECRET, target="/s", id="s", required=True),
    ],
    files=[StepFile(path="/f", data=b"\xff\x00")],
    network=NetworkMode.NONE,
    add_hosts=[("a", "1.2.3.4")],
    limits=Limits(ulimits=[("nofile", 1, 2)]),
    platform=Platform("linux", "amd64"),
)


def kept(number: int, **more: object) -> Kept:
    made = Kept(
        id=f"build-{number:032x}", build_ref=f"ref{number}", name="RUN x", exit_code=1,
        failed_ns=number, expires_ns=1000 + number, step=STEP,
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def test_a_record_is_read_as_it_was_written() -> None:
    assert decode(json.loads(json.dumps(encode(kept(1))))) == kept(1)


def test_what_only_a_client_had_is_not_mounted_again() -> None:
    context = Source(kind=SourceKind.CONTEXT, name="context", handle=3)
    step = replace(STEP, mounts=[StepMount(kind=MountKind.BIND, target="/b", source=context)])
    again = decode(json.loads(json.dumps(encode(kept(1, step=step)))))
    assert again.step.mounts == [] and again.notes == ("/b (from context) is not mounted",)
    assert [mount.required for mount in optional(STEP).mounts] == [False, False, False]


def test_they_are_found_by_id_prefix_and_build(tmp_path: Path) -> None:
    steps = KeptSteps(tmp_path)
    for number in (1, 2, 0xAB << 120):
        steps.add(kept(number))
    steps.add(kept(3, build_ref="ref2"))
    again = KeptSteps(tmp_path)
    assert [one.id for one in again.all()] == [one.id for one in steps.all()]
    assert again.find("ref2").id == kept(3).id  # the newest
    assert again.find("ab").build_ref == f"ref{0xAB << 120}"
    assert again.find(kept(1).id).build_ref == "ref1"
    with pytest.raises(NotFound, match="--debug"):
        again.find("nothing")
    with pytest.raises(NotFound):
        again.find("")
    with pytest.raises(Conflict):
        again.find("0000")
    again.drop(kept(1).id)
    assert len(KeptSteps(tmp_path).all()) == 3


def test_old_ones_and_too_many_expire(tmp_path: Path) -> None:
    steps = KeptSteps(tmp_path)
    for number in range(KEEP_AT_MOST + 2):
        steps.add(kept(number))
    assert [one.failed_ns for one in steps.expired(0)] == [1, 0]
    assert len(steps.expired(10_000)) == KEEP_AT_MOST + 2


def test_a_broken_record_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    assert KeptSteps(tmp_path).all() == []
    assert list(tmp_path.iterdir()) == []


def test_the_shell_is_the_step_s_own() -> None:
    assert shell_of(STEP) == ["/bin/bash"]
    assert shell_of(RunStep(args=["make", "all"])) == ["/bin/sh"]
