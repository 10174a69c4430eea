from __future__ import annotations

import pytest

from support.fake_cli import run

ANSWERS = {"POST /images/create": [{"status": "Pulling from library/x", "id": "latest"}]}


@pytest.mark.parametrize(
    ("line", "out", "query"),
    [
        (
            "pull x",
            "Using default tag: latest\nlatest: Pulling from library/x\n"
            "docker.io/library/x:latest\n",
            {"fromImage": "docker.io/library/x", "tag": "latest"},
        ),
        (
            "image pull -q a.example/x:1",
            "a.example/x:1\n",
            {"fromImage": "a.example/x", "tag": "1"},
        ),
        (
            "pull -aq x",
            "docker.io/library/x\n",
            {"fromImage": "docker.io/library/x"},
        ),
        (
            f"pull -q --platform Linux/ARM64 x@sha256:{'a' * 64}",
            f"docker.io/library/x@sha256:{'a' * 64}\n",
            {
                "fromImage": "docker.io/library/x",
                "tag": f"sha256:{'a' * 64}",
                "platform": "linux/arm64",
            },
        ),
    ],
)
def test_requests(line: str, out: str, query: object) -> None:
    result = run(line, ANSWERS)
    assert result.out == out
    assert result.request.query == query
    assert result.request.headers == {"X-Registry-Auth": "e30="}


def test_refused() -> None:
    assert "must be lowercase" in run("pull UPPER", ANSWERS).err
    assert run("pull -a x:1", ANSWERS).err == "tag can't be used with --all-tags/-a\n"
    result = run("pull x", {"POST /images/create": (501, "not yet")})
    assert (result.code, result.err) == (1, "Error response from daemon: not yet\n")
