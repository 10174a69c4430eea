from __future__ import annotations

import pytest

from support.fake_cli import run

ANSWERS = {
    "GET /containers/c/json": {"Id": "c1", "Name": "/c"},
    "GET /images/i%3A1/json": {"Id": "sha256:1"},
    "GET /networks/n": {"Name": "n"},
    "GET /volumes/v": {"Name": "v"},
}


def test_any_type_is_found() -> None:
    assert run(["inspect", "-f", "{{.Name}}", "c", "v", "n"], ANSWERS).out == "/c\nv\nn\n"
    assert run(["inspect", "-f", "{{.Id}}", "c", "i:1"], ANSWERS).out == "c1\nsha256:1\n"
    assert run(["inspect", "-f", "{{", "c"], ANSWERS).code == 64


def test_what_is_not_there_does_not_stop_the_others() -> None:
    result = run("inspect nosuch v", ANSWERS)
    assert (result.code, result.err) == (1, "Error: No such object: nosuch\n")
    assert '"Name": "v"' in result.out
    assert run("inspect nosuch").out == "[]\n"


def test_one_type() -> None:
    assert run("inspect --type volume v", ANSWERS).request.path == "/volumes/v"
    result = run("inspect --type container v", ANSWERS)
    assert (result.code, result.out) == (1, "[]\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("inspect --type foo x", 'unknown type: "foo": must be one of "config", "container"'),
        ("inspect --type service x", "objects of the type service are not implemented yet"),
        ("inspect --type= x", "type is empty"),
    ],
)
def test_wrong_types(line: str, message: str) -> None:
    result = run(line)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(message)


def test_sizes_are_for_containers() -> None:
    result = run("inspect -s c v", ANSWERS)
    assert result.requests[0].query == {"size": True}
    assert result.err == "WARNING: --size ignored for volume\n"


def test_containers_only() -> None:
    assert run("container inspect -s c", ANSWERS).request.query == {"size": True}
    result = run("container inspect v", ANSWERS)
    assert (result.code, result.out) == (1, "[]\n")
