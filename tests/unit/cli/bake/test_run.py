from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from pierhead.cli.bake.run import _Prefixed, check_entitlements, links, prefixed, request_of
from pierhead.cli.build import perform
from pierhead.cli.build.door import BuildFailed
from pierhead.cli.errors import CliError, Exit
from support.build_events import log, started, warning
from support.fake_cli import FakeClient, run


def test_a_target_is_a_request() -> None:
    request = request_of(
        {
            "context": "cwd://sub",
            "dockerfile": "D",
            "args": {"A": "1", "B": None},
            "contexts": {"x:latest": "cwd://y"},
            "attest": [{"type": "sbom", "disabled": "true"}, {"type": "sbom"}],
            "extra-hosts": {"h": "1.2.3.4"},
            "shm-size": "64m",
            "call": "check",
            "entitlements": ["network.host"],
        }
    )
    assert request.context == "sub" and request.dockerfile == "sub/D"
    assert request.build_args == {"A": "1"} and request.contexts == {"x": "y"}
    assert request.attestations == {"sbom": None}
    assert request.hosts == [["h", "1.2.3.4"]] and request.limits == {"shm_size": 64 << 20}
    assert request.call["name"] == "lint" and request.allow == ["network.host"]
    inline = request_of({"dockerfile-inline": "FROM x", "dockerfile": "D"})
    assert inline.dockerfile_text == b"FROM x" and not inline.dockerfile
    assert request_of({"context": "https://x/y.git", "dockerfile": "D"}).dockerfile == "D"
    for field in ("context", "dockerfile"):
        with pytest.raises(CliError, match="stdin not allowed in bake"):
            request_of({field: "-"})


def test_names() -> None:
    assert prefixed("app", "[2/3] RUN x") == "[app 2/3] RUN x"
    assert prefixed("app", "exporting to image") == "[app] exporting to image"
    assert links({"contexts": {"a": "target:b", "c": "d"}}) == {"a": "b"}


def test_steps_of_one_target_among_others() -> None:
    shown: list[dict[str, Any]] = []

    class Display:
        def update(self, events: list[dict[str, Any]]) -> None:
            shown.extend(events)

    one = _Prefixed(Display(), "app", threading.Lock(), alone=False)  # type: ignore[arg-type]
    one.known_as["abc"] = "lib"
    one.update([started("s", "[1/2] FROM abc", inputs=["i"]), log("s", "x"), warning("R", "t")])
    assert shown[0]["name"] == "[app 1/2] FROM lib"
    assert (shown[0]["step"], shown[0]["inputs"]) == ("s:app", ["i:app"])
    assert shown[1]["step"] == "s:app" and "step" not in shown[2]


def test_entitlements() -> None:
    target = {"a": {"entitlements": ["network.host"]}}
    check_entitlements(target, ["network.host"])
    with pytest.raises(CliError, match=r"pass .--allow network\.host. to grant"):
        check_entitlements(target, [])


FILE = """
group "default" { targets = ["app", "out"] }
target "lib" {}
target "app" { contexts = { l = "target:lib" } }
target "out" { contexts = { a = "target:app" } }
"""


@pytest.fixture
def built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, tuple[dict[str, str], dict[str, Any]]]:
    """What was built with which contexts and fields; the name is the target's ``--target``."""
    (tmp_path / "docker-bake.hcl").write_text(
        FILE.replace('target "lib" {}', 'target "lib" { target = "lib" }')
        .replace('"app" {', '"app" {\n target = "app"\n', 1)
        .replace('"out" {', '"out" {\n target = "out"\n', 1)
    )
    monkeypatch.chdir(tmp_path)
    for name in ("negotiate", "close"):
        monkeypatch.setattr(FakeClient, name, lambda self: None, raising=False)
    found: dict[str, tuple[dict[str, str], dict[str, Any]]] = {}
    lock = threading.Lock()

    def build(
        cli: Any, request: Any, located: Any, display: Any, *, extra: Any, opened: Any
    ) -> Any:
        with lock:
            found[request.target] = (dict(request.contexts), dict(extra))
        if request.target in failing:
            raise BuildFailed({"message": "no", "kind": "invalid"})
        display.update([{"type": "warning", "rule": "R", "text": "t"}])
        return {"ref": f"ref-{request.target}"}

    failing: set[str] = set()
    found["failing"] = failing  # type: ignore[assignment]
    monkeypatch.setattr(perform, "build", build)
    return found


def test_links_are_built_first_and_kept(built: Any) -> None:
    result = run("bake --metadata-file m --progress plain")
    assert result.code == 0
    assert built["lib"] == ({}, {"keep": True})
    assert built["app"] == ({"l": "solved://ref-lib"}, {"keep": True})
    assert built["out"] == ({"a": "solved://ref-app"}, {})
    assert "ref-out" in Path("m").read_text()


def test_a_failure_stops_what_depends_on_it(built: Any) -> None:
    built["failing"].add("lib")
    with pytest.raises(Exit):
        run("bake --progress plain")
    assert "app" not in built and "out" not in built
