from __future__ import annotations

from pathlib import Path

from support.fake_cli import run


def test_from_a_file(tmp_path: Path) -> None:
    source = tmp_path / "in.tar"
    source.write_bytes(b"tar")
    answers = {"POST /images/load": [{"stream": "Loaded image: a:1\n"}]}
    result = run(f"load -i {source} --platform linux/amd64", answers)
    assert result.out == "Loaded image: a:1\n"
    assert result.request.body == b"tar"
    assert result.request.query == {
        "quiet": True,  # the output is no terminal
        "platform": ['{"os":"linux","architecture":"amd64"}'],
    }


def test_errors(tmp_path: Path) -> None:
    result = run("load -i /nonexistent/x", {})
    assert (result.code, result.err) == (1, "open /nonexistent/x: no such file or directory\n")
    source = tmp_path / "in.tar"
    source.touch()
    answers = {"POST /images/load": [{"errorDetail": {"message": "bad tar"}, "error": "bad tar"}]}
    assert run(f"load -i {source}", answers).err == "bad tar\n"
