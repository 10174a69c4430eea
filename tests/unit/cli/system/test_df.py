from __future__ import annotations

import time
from typing import Any

from support.fake_cli import run

NOW = int(time.time()) - 120
USAGE: dict[str, Any] = {
    "LayersSize": 3000,
    "Images": [
        {
            "Id": "sha256:aaaaaaaaaaaaaaaa",
            "RepoTags": ["a:1"],
            "Created": NOW,
            "Size": 2000,
            "SharedSize": 500,
            "Containers": 1,
        },
        {"Id": "sha256:bb", "Created": NOW, "Size": 1000, "SharedSize": 0, "Containers": 0},
    ],
    "Containers": [
        {"Id": "c1", "State": "running", "SizeRw": 10, "Created": NOW, "Names": ["/x"]},
        {"Id": "c2", "State": "exited", "SizeRw": 30, "Created": NOW, "Names": ["/y"]},
    ],
    "Volumes": [
        {"Name": "v", "UsageData": {"Size": 100, "RefCount": 0}},
        {"Name": "w", "UsageData": {"Size": -1, "RefCount": 2}},
    ],
    "BuildCache": [{"ID": "k", "Type": "regular", "Size": 7, "InUse": False, "Shared": False}],
}


def test_summary() -> None:
    assert run("system df", {"GET /system/df": USAGE}).out == (
        "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\n"
        "Images          2         1         3kB       1.5kB (50%)\n"
        "Containers      2         1         40B       30B (75%)\n"
        "Local Volumes   2         1         100B      100B (100%)\n"
        "Build Cache     1         0         7B        7B\n"
    )


def test_empty() -> None:
    out = run("system df", {"GET /system/df": {"LayersSize": 0}}).out
    assert "Images          0         0         0B        0B\n" in out


def test_verbose() -> None:
    out = run("system df -v", {"GET /system/df": USAGE}).out
    for part in (
        "Images space usage:\n\nREPOSITORY   TAG       IMAGE ID",
        "\na            1         aaaaaaaaaaaa   2 minutes ago   2kB       500B          1.5kB"
        "         1\n",
        "\nContainers space usage:\n\nCONTAINER ID   IMAGE",
        "\nLocal Volumes space usage:\n\nVOLUME NAME   LINKS     SIZE\n"
        "v             0         100B\n",
        "\nBuild cache usage: 7B\n\nCACHE ID   CACHE TYPE",
    ):
        assert part in out


def test_templates() -> None:
    answers = {"GET /system/df": USAGE}
    line = ["system", "df", "--format", "{{.Type}}={{.Size}}"]
    assert run(line, answers).out.startswith("Images=3kB\nContainers=40B\n")
    line = ["system", "df", "-v", "--format", "{{range .Containers}}{{.Names}} {{end}}"]
    assert run(line, answers).out == "x y "
    result = run("system df --format {{.Foo}}", answers)
    assert result.err.endswith(
        "can't evaluate field Foo in type *formatter.diskUsageImagesContext\n"
    )


def test_a_daemon_that_counts_itself() -> None:
    usage = {
        "ImageUsage": {"TotalCount": 3, "ActiveCount": 1, "TotalSize": 3000, "Reclaimable": 1500},
        "ContainerUsage": {"TotalCount": 2, "Items": [{"Id": "c1", "Names": ["/x"]}]},
        "VolumeUsage": {},
    }
    assert run("system df", {"GET /system/df": usage}).out == (
        "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\n"
        "Images          3         1         3kB       1.5kB (50%)\n"
        "Containers      2         0         0B        0B\n"
        "Local Volumes   0         0         0B        0B\n"
        "Build Cache     0         0         0B        0B\n"
    )
    line = ["system", "df", "-v", "--format", "{{range .Containers}}{{.Names}} {{end}}"]
    result = run(line, {"GET /system/df": usage})
    assert result.out == "x "
    assert result.request.query == {"verbose": True}
