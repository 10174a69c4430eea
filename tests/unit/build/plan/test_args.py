"""Build arguments outside of stages."""

from __future__ import annotations

import pytest

from pierhead.build.dockerfile import BuildError, parse
from pierhead.build.plan import args
from pierhead.oci.platform import Platform

AMD64 = Platform("linux", "amd64")
ARM = Platform("linux", "arm", "v7")


def test_platform_arguments() -> None:
    found = args.platform_args(AMD64, ARM, "", {"TARGETOS": "plan9"})
    assert found["BUILDPLATFORM"] == "linux/amd64"
    assert found["TARGETPLATFORM"] == "linux/arm/v7"
    assert (found["TARGETARCH"], found["TARGETVARIANT"]) == ("arm", "v7")
    assert found["TARGETOS"] == "plan9"
    assert found["TARGETSTAGE"] == "default"


def test_global_arguments_see_those_before() -> None:
    dockerfile = parse(b"ARG A=1 B=x${A}\nARG C=${B:-n}\nARG D\nFROM busybox\n")
    found = args.global_args(dockerfile, {"D": "d"}, {"A": "2"})
    assert found == {"A": "2", "B": "x2", "C": "x2", "D": "d"}


def test_a_bad_expansion_has_its_place() -> None:
    dockerfile = parse(b"ARG A=${B:?no}\nFROM busybox\n")
    with pytest.raises(BuildError, match="no") as raised:
        args.global_args(dockerfile, {}, {})
    assert raised.value.location is not None
    assert raised.value.location.first == 1


def test_proxies_come_in_both_cases() -> None:
    assert args.proxies({"http_proxy": "http://p", "X": "1"}) == [
        "http_proxy=http://p",
        "HTTP_PROXY=http://p",
    ]


def test_unused_arguments() -> None:
    given = {"A": "1", "B": "2", "no_proxy": "x", "BUILDKIT_INLINE_CACHE": "1"}
    assert args.unused(given, frozenset({"A"})) == ["B"]
