from __future__ import annotations

from typing import Any

import pytest

import pierhead
from pierhead.client.errors import ConnectFailed
from support.fake_cli import run


def server() -> dict[str, Any]:
    return {
        "Platform": {"Name": "Pierhead"},
        "Components": [
            {
                "Name": "Engine",
                "Version": "1.2.3",
                "Details": {
                    "ApiVersion": "1.56",
                    "MinAPIVersion": "1.24",
                    "GoVersion": "python3",
                    "GitCommit": "abc",
                    "BuildTime": "2026-05-07T21:09:36+00:00",
                    "Os": "linux",
                    "Arch": "amd64",
                    "Experimental": "false",
                },
            },
            {"Name": "crun", "Version": "1.8", "Details": {"GitCommit": "x"}},
        ],
        "Version": "1.2.3",
        "ApiVersion": "1.56",
    }


def test_blocks() -> None:
    lines = run("version", {"GET /version": server()}).out.splitlines()
    assert lines[:3] == [
        "Client: Pierhead",
        f" Version:           {pierhead.__version__}",
        " API version:       1.56",
    ]
    assert lines[7:] == [
        " Context:           default",
        "",
        "Server: Pierhead",
        " Engine:",
        "  Version:          1.2.3",
        "  API version:      1.56 (minimum version 1.24)",
        "  Go version:       python3",
        "  Git commit:       abc",
        "  Built:            Thu May  7 21:09:36 2026",
        "  OS/Arch:          linux/amd64",
        "  Experimental:     false",
        " crun:",
        "  Version:          1.8",
        "  GitCommit:        x",
    ]


def test_downgraded() -> None:
    result = run("version", {"GET /version": server()}, version="1.41")
    assert " API version:       1.41 (downgraded from 1.56)\n" in result.out


def test_an_engine_without_components() -> None:
    answers = {"GET /version": {"Version": "9", "ApiVersion": "1.30", "Os": "linux"}}
    out = run("version", answers).out
    assert "  Version:          9\n  API version:      1.30 (minimum version )\n" in out


@pytest.mark.parametrize(
    ("template", "out"),
    [
        ("{{.Client.Version}} {{.Server.Version}}", f"{pierhead.__version__} 1.2.3\n"),
        ("{{.Client.APIVersion}}{{.Server.APIVersion}}", "1.561.56\n"),
        ("{{range .Server.Components}}{{.Name}} {{end}}", "Engine crun \n"),
    ],
)
def test_templates(template: str, out: str) -> None:
    assert run(["version", "-f", template], {"GET /version": server()}).out == out


def test_template_errors() -> None:
    result = run("version -f {{.Foo}}", {"GET /version": server()})
    assert result.code == 1
    assert result.err == (
        'template: version:1:2: executing "version" at <.Foo>: '
        "can't evaluate field Foo in type system.versionInfo\n"
    )
    result = run("version -f {{.Foo", {})
    assert (result.code, result.requests) == (64, [])


def test_json() -> None:
    out = run("version -f json", {"GET /version": server()}).out
    assert out.startswith('{"Client":{"Platform":{"Name":"Pierhead"},"Version":"')
    assert '"Server":{"Platform":{"Name":"Pierhead"},"Components":[{"Name":"Engine"' in out


def test_without_a_daemon() -> None:
    result = run("version", {"GET /version": ConnectFailed("Cannot connect")})
    assert result.code == 1
    assert result.out.startswith("Client: Pierhead\n")
    assert "Server" not in result.out
    assert result.err == "Cannot connect\n"
    result = run(
        "version -f {{.Server.Version}}", {"GET /version": ConnectFailed("Cannot connect")}
    )
    assert (result.code, result.err) == (1, "Cannot connect\n")


def test_long_labels_widen_their_block_only() -> None:
    facts = server()
    facts["Components"][1]["Details"]["ARatherLongLabelOfAPart"] = "y"
    lines = run("version", {"GET /version": facts}).out.splitlines()
    assert "  ARatherLongLabelOfAPart: y" in lines
    assert "  Version:                 1.8" in lines
    assert "  Version:          1.2.3" in lines
