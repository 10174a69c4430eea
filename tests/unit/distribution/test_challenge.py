"""WWW-Authenticate headers as registries send them, and as they shouldn't."""

from __future__ import annotations

import random

import pytest

from pierhead.distribution.challenge import parse


def test_bearer_with_everything() -> None:
    (found,) = parse(
        [
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
            'scope="repository:library/busybox:pull,push",error="invalid_token"'
        ]
    )
    assert found.scheme == "bearer"
    assert found.parameters == {
        "realm": "https://auth.docker.io/token",
        "service": "registry.docker.io",
        "scope": "repository:library/busybox:pull,push",
        "error": "invalid_token",
    }


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ('Basic realm="x"', [("basic", {"realm": "x"})]),
        ("BASIC", [("basic", {})]),
        ("Basic realm=unquoted", [("basic", {"realm": "unquoted"})]),
        ('Basic realm = "a b" , x="y"', [("basic", {"realm": "a b", "x": "y"})]),
        (
            "Bearer realm=https://auth.example/token,service=x",
            [("bearer", {"realm": "https://auth.example/token", "service": "x"})],
        ),
        (
            'Basic realm="one", Bearer realm="two",service="s"',
            [("basic", {"realm": "one"}), ("bearer", {"realm": "two", "service": "s"})],
        ),
        ('Negotiate, Basic realm="x"', [("negotiate", {}), ("basic", {"realm": "x"})]),
        (r'Bearer realm="a\"b\\c"', [("bearer", {"realm": 'a"b\\c'})]),
        ('Bearer realm="never ends', [("bearer", {})]),
        ('Bearer REALM="x",realm="y"', [("bearer", {"realm": "x"})]),
        ("", []),
        ('="x"', []),
        (",,,", []),
    ],
)  # fmt: skip
def test_forms(header: str, wanted: list[tuple[str, dict[str, str]]]) -> None:
    assert [(entry.scheme, entry.parameters) for entry in parse([header])] == wanted


def test_several_headers() -> None:
    assert [entry.scheme for entry in parse(['Bearer realm="a"', "Basic"])] == ["bearer", "basic"]


def test_noise_ends_and_stays_bounded() -> None:
    dice = random.Random(1)
    for _ in range(2000):
        text = "".join(dice.choice('Bearer realm=",\\ \t;x') for _ in range(dice.randrange(60)))
        for entry in parse([text]):
            assert entry.scheme == entry.scheme.lower()
    assert parse(["Bearer " + 'a="' * 100_000])
