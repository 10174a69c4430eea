from __future__ import annotations

import json
from pathlib import Path

from support.wire_daemon import WireDaemon, chunked, failure, respond

SAMPLE = {
    "read": "2024-01-01T00:00:00Z",
    "id": "0123456789abcdef",
    "name": "/web",
    "memory_stats": {"usage": 1 << 20, "limit": 1 << 30},
}
HEADER = (
    "CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT   MEM %     NET I/O   BLOCK I/O   PIDS\n"
)
ROW = "0123456789ab   web       0.00%     1MiB / 1GiB         0.10%     0B / 0B   0B / 0B     0\n"


def test_one_sample(tmp_path: Path) -> None:
    daemon = WireDaemon(
        tmp_path,
        {
            "HEAD /_ping": respond(b"", headers={"Api-Version": "1.56"}),
            "GET /containers/json": respond([{"Id": "c1"}]),
            "GET /containers/c1/stats": respond(SAMPLE),
            "GET /containers/c2/stats": failure("404 Not Found", "No such container: c2"),
        },
    )
    assert daemon.pier("stats", "--no-stream").stdout.decode() == HEADER + ROW
    assert daemon.requests[-1].query == "stream=0"
    done = daemon.pier("stats", "--no-stream", "c1", "--format", "{{.Name}} {{.MemUsage}}")
    assert done.stdout == b"web 1MiB / 1GiB\n"
    done = daemon.pier("stats", "--no-stream", "c1", "c2")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"Error response from daemon: No such container: c2\n"
    daemon.close()


def test_live_until_the_containers_are_gone(tmp_path: Path) -> None:
    sample = json.dumps(SAMPLE).encode() + b"\n"
    daemon = WireDaemon(tmp_path, {"GET /containers/c1/stats": chunked(sample)})
    done = daemon.pier("stats", "c1")
    assert done.returncode == 0
    assert daemon.requests[-1].query == "stream=1"
    daemon.close()
