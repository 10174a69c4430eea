from __future__ import annotations

import pytest

from pierhead.errors import InvalidParameter
from pierhead.oci import platform
from pierhead.oci.platform import Platform


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux", Platform("linux", "amd64")),
        ("arm64", Platform("linux", "arm64")),
        ("linux/x86_64", Platform("linux", "amd64")),
        ("linux/arm64/v8", Platform("linux", "arm64")),
        ("linux/arm/7", Platform("linux", "arm", "v7")),
        ("Linux/ARMHF", Platform("linux", "arm", "v7")),
        ("windows/amd64", Platform("windows", "amd64")),
    ],
)
def test_platforms_are_normalised(text: str, expected: Platform) -> None:
    assert platform.parse(text, "amd64") == expected


@pytest.mark.parametrize("text", ["", "a/b/c/d", "linux/", "a b", "linux/am%64", "foobar"])
def test_bad_platforms(text: str) -> None:
    with pytest.raises(InvalidParameter):
        platform.parse(text, "amd64")


def test_matching() -> None:
    arm = Platform("linux", "arm", "v7")
    assert arm.matches("linux", "arm") and arm.matches("", "armhf")
    assert not arm.matches("linux", "arm", "v6")
    assert not arm.matches("linux", "arm64")
    assert str(arm) == "linux/arm/v7"
    assert platform.of_machine("aarch64") == Platform("linux", "arm64")
    assert platform.of_machine("armv7l") == arm
