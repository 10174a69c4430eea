"""A failed step is kept with --debug: pier build debug, then and after a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.command import Command
from support.daemon import Pierd
from support.http import Api

pytestmark = pytest.mark.root

DOCKERFILE = """\
FROM busybox
ENV SAID=hello
WORKDIR /work
RUN --mount=type=secret,id=key,required=false --mount=type=cache,target=/cache \\
    echo said; echo half > made; echo kept > /cache/file; cat /run/secrets/key > /dev/null; exit 7
"""


@pytest.fixture
def failed(pier: Command, api: Api, tmp_path: Path) -> Iterator[str]:
    """The id of a failed step, as the build told it."""
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "key").write_text("very secret")
    secret = f"id=key,src={tmp_path}/key"
    done = pier.fails("build", "--debug", "--secret", secret, str(tmp_path))
    done.says("exit code: 7", "pier build debug ")
    identifier = done.stderr.split("pier build debug ")[1].split()[0]
    yield identifier
    for kept in kept_steps(api):
        api.delete(f"/pierhead/build/debug/{kept['id']}")


def kept_steps(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get("/pierhead/build/debug").json
    return found


def test_a_look_into_a_failed_step(pier: Command, api: Api, failed: str) -> None:
    script = "echo $SAID; pwd; cat made /cache/file; ls /run/secrets 2>/dev/null; echo more >> made"
    done = pier("build", "debug", failed, "sh", "-c", script)
    assert done.lines == ["hello", "/work", "half", "kept"]  # and no secret: its client has left
    assert pier("build", "debug", failed, "cat", "made").lines == ["half", "more"]
    assert pier("build", "debug", failed, "sh", input="cat made | wc -l\nexit 3\n", check=False)
    assert pier.fails("build", "debug", failed, "sh", "-c", "exit 3", code=3)
    listed = pier("build", "debug").stdout
    assert "WORKDIR" not in listed
    assert "RUN --mount" in listed
    [kept] = kept_steps(api)
    assert kept["exit_code"] == 7
    pier("build", "debug", "--rm", kept["id"])
    assert kept_steps(api) == []
    pier.fails("build", "debug", failed, "true")


def test_at_a_terminal(pier: Command, failed: str) -> None:
    with pier.terminal("build", "debug", failed, rows=33, cols=99) as screen:
        screen.expect(r"[#$] ")
        screen.line("stty size; tty; echo $((6*7))")
        screen.expect("33 99")
        screen.expect("/dev/(pts|console)")
        screen.expect("42")
        screen.line("exit 5")
        assert screen.wait() == 5


def test_after_a_restart(pier: Command, pierd: Pierd, failed: str) -> None:
    pierd.kill9()
    pierd.start()
    assert pier("build", "debug", failed, "cat", "made").out == "half"


def test_history_keeps_what_was_printed(pier: Command, api: Api, failed: str) -> None:
    record = api.get("/pierhead/build/history/^0").json
    assert (record["status"], record["door"], record["debug_id"]) == ("error", "pier", failed)
    [step] = [step for step in record["steps"] if step["error"]]
    assert step["lines"] == [4, 5]
    assert record["dockerfile"] == DOCKERFILE
    assert "very secret" not in json.dumps(record)
    logs = f"/pierhead/build/history/{record['ref']}/logs"
    assert api.get(logs).json == [{"step": step["id"], "data": "said\n"}]
    assert api.get(f"{logs}?step={step['id']}").body == b"said\n"
    assert api.delete(f"/pierhead/build/history/{record['ref']}").json == {"removed": 1}
    assert api.get(f"/pierhead/build/history/{record['ref']}").status == 404
