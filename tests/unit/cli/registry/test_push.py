from __future__ import annotations

from support.fake_cli import run

PATH = "POST /images/a.example/x/push"


def test_requests() -> None:
    answers = {PATH: [{"status": "Pushed", "id": "abc"}]}
    result = run("push a.example/x", answers)
    assert result.out == "Using default tag: latest\nabc: Pushed\n"
    assert result.request.query == {"tag": "latest"}
    result = run("push -q --platform linux/amd64 a.example/x:1", answers)
    assert result.out == "a.example/x:1\n"
    assert result.request.query["platform"] == '{"os":"linux","architecture":"amd64"}'


def test_refused() -> None:
    result = run(f"push a.example/x@sha256:{'a' * 64}", {})
    assert result.err == "cannot push a digest reference\n"
    assert run("push -a a.example/x:1", {}).err == "tag can't be used with --all-tags/-a\n"
