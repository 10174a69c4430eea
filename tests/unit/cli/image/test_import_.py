from __future__ import annotations

from pathlib import Path

from support.fake_cli import run

ANSWERS = {"POST /images/create": [{"status": "sha256:abc"}]}


def test_a_file(tmp_path: Path) -> None:
    source = tmp_path / "in.tar"
    source.write_bytes(b"tar")
    result = run(
        ["import", "-c", "CMD sh", "-m", "hello", "--platform", "Linux/AMD64", str(source), "a:1"],
        ANSWERS,
    )
    assert result.out == "sha256:abc\n"
    assert result.request.body == b"tar"
    assert result.request.query == {
        "fromSrc": "-",
        "repo": "a:1",
        "message": "hello",
        "changes": ["CMD sh"],
        "platform": "linux/amd64",
    }


def test_the_daemon_fetches_urls() -> None:
    result = run("import https://example.com/x.tar", ANSWERS)
    assert result.request.body is None
    assert result.request.query == {"fromSrc": "https://example.com/x.tar"}
