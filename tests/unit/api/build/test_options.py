"""JSON of pier's own door: options in, events, results and failures out."""

from __future__ import annotations

from typing import Any

import pytest

from pierhead.api.build import options
from pierhead.build.dockerfile.model import Range, SourceText
from pierhead.build.execute.model import StepFailed
from pierhead.build.model import (
    BuildOptions,
    BuildResult,
    BuiltImage,
    CacheOption,
    Limits,
    NetworkMode,
    Output,
    StepDone,
    StepLog,
    StepProgress,
    StepStarted,
    Warned,
)
from pierhead.build.solve.errors import locate
from pierhead.client import build_wire as wire
from pierhead.errors import InvalidParameter, NotFound
from pierhead.oci.digest import ImageId, sha256

STEP = sha256(b"step")
IMAGE = ImageId("sha256:" + "ab" * 32)


def test_nothing_is_the_default() -> None:
    assert options.read({}) == options.PierRequest(options=BuildOptions(door="pier"))


def test_everything_has_its_type() -> None:
    found = options.read(
        {
            "context": "",
            "dockerfile_text": "RlJPTSB4",
            "tags": ["a"],
            "build_args": {"A": "1"},
            "network": "host",
            "add_hosts": [["h", "1.2.3.4"]],
            "limits": {"memory": 5, "ulimits": [["nofile", 1, 2]]},
            "entitlements": ["network.host"],
            "outputs": [{"type": "tar", "attributes": {"a": "b"}, "number": 1}],
            "cache_to": [{"type": "inline"}],
            "provenance": {"mode": "max"},
            "sbom": None,
            "source_date_epoch": 7,
            "context_tar": True,
            "keep": True,
        }
    )
    assert (found.context_tar, found.keep, found.call) == (True, True, "")
    assert found.options == BuildOptions(
        door="pier",
        context="",
        dockerfile_text=b"FROM x",
        tags=["a"],
        build_args={"A": "1"},
        network=NetworkMode.HOST,
        add_hosts=[("h", "1.2.3.4")],
        limits=Limits(memory=5, ulimits=[("nofile", 1, 2)]),
        entitlements=frozenset({"network.host"}),
        outputs=[Output(type="tar", attributes={"a": "b"}, number=1)],
        cache_to=[CacheOption(type="inline")],
        provenance={"mode": "max"},
        source_date_epoch=7,
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"nonsense": 1}, "unknown build option nonsense"),
        ({"tags": "a"}, r"Expected `array`, got `str` - at `\$.tags`"),
        ({"limits": {"memory": "x"}}, "memory"),
        ({"network": "moon"}, "network"),
        ({"classic": True}, "classic"),
        ({"door": "classic"}, "door"),
        ({"call": "dance"}, "unknown call 'dance'"),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        options.read(given)


def test_events() -> None:
    assert options.event(
        StepStarted(time_ns=1, step=STEP, name="[1/2] FROM x", inputs=(STEP,), number=1, total=2)
    ) == {
        "type": "started",
        "time_ns": 1,
        "step": STEP,
        "name": "[1/2] FROM x",
        "inputs": (STEP,),
        "number": 1,
        "total": 2,
    }
    assert options.event(StepDone(time_ns=2, step=STEP, cached=True)) == {
        "type": "done",
        "time_ns": 2,
        "step": STEP,
        "cached": True,
    }
    log = options.event(StepLog(time_ns=2, step=STEP, stream=1, data=b"\xff\n"))
    assert log["data"].encode("utf-8", "surrogateescape") == b"\xff\n"
    progress = options.event(StepProgress(time_ns=2, step=STEP, id="x", current=5))
    assert (progress["type"], progress["id"], progress["current"]) == ("progress", "x", 5)
    warning = options.event(Warned(time_ns=3, rule="R", text="t", lines=[(1, 2)], source=b"FROM x"))
    assert (warning["lines"], warning["source"]) == ([(1, 2)], "FROM x")
    assert wire.decode(wire.encode([log, warning]))[1]["lines"] == [[1, 2]]


def test_results() -> None:
    built = BuildResult(
        ref="r",
        images=[BuiltImage(platform="linux/amd64", id=IMAGE, config=b"{}")],
        metadata={"buildx.build.ref": "r"},
    )
    assert options.result(built) == {
        "ref": "r",
        "digest": None,
        "images": [{"platform": "linux/amd64", "id": IMAGE, "manifest": None}],
        "metadata": {"buildx.build.ref": "r"},
        "warnings": [],
    }


def test_failures_say_where() -> None:
    error = StepFailed("process failed", 3, "debug")
    source = SourceText(name="Dockerfile", data=b"FROM x\nRUN exit 3\n")
    locate(error, Range(2, 2), source)
    assert options.failure(error, "r") == {
        "kind": "invalid",
        "message": "process failed",
        "ref": "r",
        "exit_code": 3,
        "debug_id": "debug",
        "file": "Dockerfile",
        "lines": [[2, 2]],
        "source": "FROM x\nRUN exit 3\n",
    }
    assert options.failure(NotFound("no"), "")["kind"] == "not_found"
    assert options.failure(ValueError("x"), "")["message"] == "internal error: ValueError: x"
