from __future__ import annotations

from support.fake_cli import run

ANSWERS = {
    "POST /pierhead/images/bootstrap": [
        {"status": "Unpacking", "progressDetail": {"current": 1, "total": 2}, "id": "busybox"},
        {"aux": {"ID": "sha256:abc"}},
        {"status": "Bootstrapped image: busybox:latest"},
    ]
}


def test_progress() -> None:
    result = run("image bootstrap busybox", ANSWERS)
    assert result.out == "Bootstrapped image: busybox:latest\n"
    assert result.request.query == {"spec": "busybox"}


def test_quiet_and_options() -> None:
    result = run(
        "image bootstrap -q -t mine:1 --variant apt -p curl,jq -p vim --mirror http://m "
        "debian:trixie",
        ANSWERS,
    )
    assert result.out == "sha256:abc\n"
    assert result.request.query == {
        "spec": "debian:trixie",
        "variant": "apt",
        "packages": "curl,jq,vim",
        "mirror": "http://m",
        "tag": "mine:1",
    }


def test_error() -> None:
    answers = {"POST /pierhead/images/bootstrap": [{"errorDetail": {"message": "no mirror"}}]}
    assert run("image bootstrap busybox", answers).err == "no mirror\n"
