from __future__ import annotations

from support.fake_cli import run

PATH = "POST /images/a.example/x/push"


def test_requests() -> None:
    answers = {PATH: [{"status": "Pushed", "id": "abc"}]}
    result = run("push a.example/x", answers)
    assert result.out == "Using default tag: latest\nabc: Pushed\n"
    assert result.request.query == {"tag": "latest"}
    result = run("push -q --platform linux/amd64 a.example/x:1", answers)
    assert result.out.startswith("\n Info -> Using --platform pushes only the specified")
    assert result.out.endswith("\na.example/x:1\n")
    assert result.request.query["platform"] == '{"os":"linux","architecture":"amd64"}'


def test_notes_come_last() -> None:
    aux = {
        "manifestPushedInsteadOfIndex": True,
        "originalIndex": {"digest": "sha256:1"},
        "selectedManifest": {"digest": "sha256:2"},
    }
    answers = {PATH: [{"aux": aux}, {"aux": {"contentMissing": True}}, {"status": "Pushed"}]}
    first, index, rest = run("push a.example/x:1", answers).out.split("\n Info -> ")
    assert first == "Pushed\n"
    assert "\x1b[31msha256:1\x1b[0m -> \x1b[32msha256:2\x1b[0m" in index
    assert rest.startswith("You're trying to push a manifest list/index")


def test_a_platform_that_is_none() -> None:
    result = run("push --platform vax a.example/x:1", {})
    assert result.err.startswith('Invalid platform vax"vax": unknown operating system')
    result = run("push --platform linux/amd64 a.example/x:1", {}, version="1.45")
    assert result.err.startswith('"--platform" requires API version 1.46')


def test_refused() -> None:
    result = run(f"push a.example/x@sha256:{'a' * 64}", {})
    assert result.err == "cannot push a digest reference\n"
    assert run("push -a a.example/x:1", {}).err == "tag can't be used with --all-tags/-a\n"
