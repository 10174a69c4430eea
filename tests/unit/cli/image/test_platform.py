from __future__ import annotations

import posix
from types import SimpleNamespace

import pytest

from pierhead.cli.errors import CliError
from pierhead.cli.image.platform import (
    checked_platform,
    parse_platform,
    platform_json,
    platform_text,
)
from support.fake_cli import FakeCli, FakeClient


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("linux/amd64", "linux/amd64"),
        ("Linux/AARCH64", "linux/arm64"),
        ("arm64", "linux/arm64"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/arm", "linux/arm"),
        ("armhf", "linux/arm"),
        ("linux/armel", "linux/arm/v6"),
        ("x86_64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/arm64/9", "linux/arm64/v9"),
        ("linux/arm64/v8", "linux/arm64/v8"),
        ("linux/i386", "linux/386"),
        ("macos/arm64", "darwin/arm64"),
        ("my_os/my-arch", "my_os/my-arch"),
    ],
)
def test_good(text: str, normal: str) -> None:
    assert platform_text(text) == normal


def test_as_the_api_takes_it() -> None:
    assert platform_json("linux/arm/v7") == '{"os":"linux","architecture":"arm","variant":"v7"}'
    assert parse_platform("windows(10.0.17763)/amd64")["os.version"] == "10.0.17763"


@pytest.mark.parametrize(
    ("machine", "architecture"),
    [("x86_64", "amd64"), ("aarch64", "arm64"), ("armv7l", "arm"), ("i686", "386")],
)
def test_an_os_alone_means_this_machine(
    machine: str, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posix, "uname", lambda: SimpleNamespace(machine=machine))
    assert platform_text("linux") == f"linux/{architecture}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", '"" is an invalid OS component of ""'),
        ("!", '"!" is an invalid OS component of "!": OSAndVersion specifier component must match'),
        ("linux(", '"linux(" is an invalid OS component'),
        ("linux/", '"" is an invalid component of "linux/": platform specifier component'),
        ("linux/a.b", '"a.b" is an invalid component of "linux/a.b"'),
        ("a/b/c/d", '"a/b/c/d": cannot parse platform specifier: invalid argument'),
        ("vax", '"vax": unknown operating system or architecture: invalid argument'),
        ("linux/*", '"linux/*": wildcards not yet supported: invalid argument'),
    ],
)
def test_bad(text: str, message: str) -> None:
    with pytest.raises(CliError) as caught:
        parse_platform(text)
    assert caught.value.message.startswith(message)
    assert caught.value.message.endswith(": invalid argument")


def test_a_flag_of_newer_daemons() -> None:
    def checked(text: str, version: str) -> str | None:
        cli = FakeCli("x", FakeClient({}, version), {}, "")
        return checked_platform(cli, text, "1.48", prefix="invalid: ")  # type: ignore[arg-type]

    assert checked("", "1.41") is None
    assert checked("arm64", "1.48") == '{"os":"linux","architecture":"arm64"}'
    with pytest.raises(CliError, match='"--platform" requires API version'):
        checked("arm64", "1.41")
    with pytest.raises(CliError, match='invalid: "vax": unknown'):
        checked("vax", "1.48")
