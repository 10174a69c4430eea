from __future__ import annotations

import time

import pytest

from support.fake_cli import run

IMAGE = {
    "Id": "sha256:cca326174f7454aa885e",
    "RepoTags": ["busybox:latest"],
    "RepoDigests": [],
    "Created": int(time.time()) - 7200,
    "Size": 1982263,
    "SharedSize": -1,
    "Containers": -1,
}


@pytest.mark.parametrize(
    ("line", "out"),
    [
        (
            "images",
            "REPOSITORY   TAG       IMAGE ID       CREATED       SIZE\n"
            "busybox      latest    cca326174f74   2 hours ago   1.98MB\n",
        ),
        ("images -q", "cca326174f74\n"),
        ("image ls -q --no-trunc", "sha256:cca326174f7454aa885e\n"),
        ("image list --format {{.Repository}}:{{.Tag}}", "busybox:latest\n"),
        ("images --digests --format table{{.Tag}}", "TAG       DIGEST\nlatest    <none>\n"),
    ],
)
def test_output(line: str, out: str) -> None:
    assert run(line, {"GET /images/json": [IMAGE]}).out == out


def test_query() -> None:
    result = run("images -a -f dangling=true busybox:1*", {"GET /images/json": []})
    assert result.request.query == {
        "all": True,
        "filters": {"dangling": ["true"], "reference": ["busybox:1*"]},
    }
    assert run("images", {"GET /images/json": []}).request.query == {}


def test_the_config_has_a_format() -> None:
    config = {"imagesFormat": "{{.ID}}!"}
    answers = {"GET /images/json": [IMAGE]}
    assert run("images", answers, config=config).out == "cca326174f74!\n"
    assert run("images -q", answers, config=config).out == "cca326174f74\n"


def test_a_hint_for_slips() -> None:
    assert run("images ls", {"GET /images/json": []}).err == (
        '\nNo images found matching "ls": did you mean "pier image ls"?\n'
    )
    assert run("image ls ls", {"GET /images/json": []}).err == ""


def test_the_tree_of_platforms() -> None:
    result = run("image ls --tree -a x", {"GET /images/json": []})
    assert result.request.query == {
        "all": True,
        "filters": {"reference": ["x"]},
        "manifests": True,
    }
    assert "IMAGE" in result.out


@pytest.mark.parametrize("flag", ["-q", "--no-trunc", "--digests", "--format x"])
def test_what_a_tree_can_not_do(flag: str) -> None:
    result = run(f"images --tree {flag}", {})
    assert (result.code, "is not yet supported with --tree" in result.err) == (1, True)


def test_old_daemons_know_no_tree() -> None:
    result = run("images --tree", {}, version="1.46")
    assert result.err == (
        '"--tree" requires API version 1.47, but the Docker daemon API version is 1.46\n'
    )
