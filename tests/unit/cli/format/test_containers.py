from __future__ import annotations

import time
from typing import Any

import pytest

from pierhead.cli.errors import CliError
from pierhead.cli.format.containers import HEADERS, ContainerRow, container_format, wants_size
from pierhead.cli.format.listing import render

SUMMARY: dict[str, Any] = {
    "Id": "7f344b51246d37777dd40abfda459fdda663c7c76f4295929cefeee2d5fafdcd",
    "Names": ["/other/alias", "/web"],
    "Image": "docker.io/library/busybox:1",
    "ImageID": "sha256:cca326174f74",
    "Command": 'sh -c "echo a long command"',
    "Created": int(time.time()) - 65,
    "State": "running",
    "Status": "Up About a minute (healthy)",
    "Ports": [{"PrivatePort": 80, "Type": "tcp"}],
    "Labels": {"b": "2", "a": "1"},
    "SizeRw": 5,
    "SizeRootFs": 1000,
    "Mounts": [{"Name": "a-very-long-volume-name", "Driver": "local"}, {"Source": "/srv"}],
    "NetworkSettings": {"Networks": {"bridge": {}}},
}


def show(source: str, **changes: Any) -> str:
    trunc = changes.pop("trunc", True)
    return render(source, [ContainerRow({**SUMMARY, **changes}, trunc=trunc)], HEADERS)


@pytest.mark.parametrize(
    ("source", "out"),
    [
        ("{{.ID}}", "7f344b51246d"),
        ("{{.Names}}", "web"),
        ("{{.Image}}", "busybox:1"),
        ("{{.Command}}", '"sh -c \\"echo a long …"'),
        ("{{.RunningFor}}", "About a minute ago"),
        ("{{.Size}}", "5B (virtual 1kB)"),
        ("{{.Labels}}", "a=1,b=2"),
        ('{{.Label "b"}}{{.Label "x"}}', "2"),
        ("{{.Mounts}}", "a-very-long-vo…,/srv"),
        ("{{.LocalVolumes}}", "1"),
        ("{{.Networks}} {{.Ports}} {{.State}} {{.HealthStatus}}", "bridge 80/tcp running healthy"),
        ("{{.Platform}}", "<no value>"),
    ],
)
def test_fields(source: str, out: str) -> None:
    assert show(source) == out + "\n"


def test_untruncated() -> None:
    out = show("{{.ID}} {{.Names}} {{.Image}} {{.Command}}", trunc=False)
    assert out == (
        f"{SUMMARY['Id']} other/alias,web docker.io/library/busybox:1 "
        '"sh -c \\"echo a long command\\""\n'
    )


def test_images_by_id() -> None:
    assert show("{{.Image}}", Image="") == "<no image>\n"
    assert show("{{.Image}}", Image="sha256:cca326174f74aa") == "cca326174f74\n"
    assert show("{{.Image}}", Image="cca326174f74") == "cca326174f74\n"


def test_formats() -> None:
    assert container_format("", quiet=True, size=True) == "{{.ID}}"
    assert container_format("table", quiet=False, size=True).endswith("{{.Names}}\t{{.Size}}")
    assert container_format("raw", quiet=True, size=False) == "container_id: {{.ID}}"
    assert container_format("{{.X}}", quiet=False, size=False) == "{{.X}}"
    assert show(container_format("raw", quiet=False, size=False)).startswith(
        "container_id: 7f344b51246d\nimage: busybox:1\n"
    )
    assert wants_size("{{.Size}}")
    assert wants_size("{{json .}}")
    assert not wants_size("json")
    assert not wants_size("{{.ID}}")
    assert wants_size("{{upper .Size}}")
    assert not wants_size("{{upper .ID}}")
    with pytest.raises(CliError, match="failed to execute template: template: :1:2"):
        wants_size("{{.Nope}}")
    with pytest.raises(CliError, match="failed to parse template: template: :1"):
        wants_size("{{.ID")
