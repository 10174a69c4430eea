from __future__ import annotations

from typing import Any

import pytest

from pierhead.client.errors import ConnectFailed
from support.fake_cli import run

INFO: dict[str, Any] = {
    "Containers": 3,
    "Images": 1,
    "ServerVersion": "1",
    "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"]],
    "Plugins": {"Volume": ["local"], "Network": ["bridge", "host"], "Log": ["json-file"]},
    "Swarm": {"LocalNodeState": "inactive"},
    "Runtimes": {"runc": {}, "crun": {"path": "crun"}},
    "DefaultRuntime": "crun",
    "OSType": "linux",
    "SecurityOptions": ["name=seccomp,profile=default", "plain"],
    "NCPU": 2,
    "MemTotal": 25276063744,
    "Labels": ["a=1"],
    "RegistryConfig": {"IndexConfigs": {}, "InsecureRegistryCIDRs": ["127.0.0.0/8"]},
    "Warnings": ["WARNING: No swap limit support"],
}


def test_blocks() -> None:
    result = run("info", {"GET /info": INFO})
    assert result.err == "WARNING: No swap limit support\n"
    for part in (
        "Client: Pierhead\n Version:    ",
        "\n Debug Mode: false\n\nServer:\n Containers: 3\n  Running: 0\n",
        " Storage Driver: overlay2\n  Backing Filesystem: extfs\n Plugins:\n",
        " Plugins:\n  Volume: local\n  Network: bridge host\n  Log: json-file\n Swarm: inactive\n",
        " Runtimes: crun runc\n Default Runtime: crun\n",
        " Security Options:\n  seccomp\n   Profile: default\n  plain\n",
        " CPUs: 2\n Total Memory: 23.54GiB\n",
        " Labels:\n  a=1\n Experimental: false\n Insecure Registries:\n  127.0.0.0/8\n",
        " Live Restore Enabled: false\n\n",
    ):
        assert part in result.out


@pytest.mark.parametrize(
    ("template", "out"),
    [
        ("{{.ServerVersion}} {{.NCPU}}", "1 2\n"),
        ("{{json .Plugins.Network}}", '["bridge","host"]\n'),
        ("{{.ClientInfo.Context}}", "default\n"),
        ("{{range .Runtimes}}{{.Path}};{{end}}", "crun;;\n"),
    ],
)
def test_templates(template: str, out: str) -> None:
    assert run(["info", "-f", template], {"GET /info": INFO}).out == out


def test_json_has_both_sides() -> None:
    out = run("info -f json", {"GET /info": INFO}).out
    assert out.startswith('{"ID":"","Containers":3,')
    assert ',"ClientInfo":{"Debug":false,"Platform":{"Name":"Pierhead"},"Version":"' in out
    assert out.endswith('"Plugins":[],"Warnings":null}}\n')


def test_errors() -> None:
    result = run("info -f {{.Foo}}", {"GET /info": INFO})
    assert (result.code, result.out) == (1, "\n")
    assert "can't evaluate field Foo in type system.dockerInfo" in result.err
    assert run("info -f {{.Foo", {"GET /info": INFO}).code == 64
    result = run("info", {"GET /info": ConnectFailed("Cannot connect")})
    assert (result.code, result.err) == (1, "Cannot connect\n")
    assert result.out.endswith("\nServer:\n")
    result = run("info", {"GET /info": (500, "broken")})
    assert result.err == (
        "ERROR: Error response from daemon: broken\nerrors pretty printing info\n"
    )
