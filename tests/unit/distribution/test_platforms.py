"""The choice among an index's manifests."""

from __future__ import annotations

import pytest

from pierhead.distribution import platforms
from pierhead.oci.digest import Digest
from pierhead.oci.manifest import Descriptor, Index, PlatformField
from pierhead.oci.platform import Platform, parse


def index(*names: str) -> Index:
    entries = []
    for name in names:
        parts = [*name.split("/"), "", ""]
        entries.append(
            Descriptor(
                digest=Digest(name),
                size=1,
                platform=PlatformField(os=parts[0], architecture=parts[1], variant=parts[2])
                if name
                else None,
            )
        )
    return Index(manifests=entries)


@pytest.mark.parametrize(
    ("wanted", "offered", "chosen"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], ["linux/amd64"]),
        ("linux/amd64", ["linux/386", "linux/amd64/v1"], ["linux/amd64/v1", "linux/386"]),
        ("linux/amd64", ["linux/amd64/v2", "linux/arm64"], []),
        (
            "linux/amd64/v3",
            ["linux/amd64", "linux/amd64/v2", "linux/amd64/v3", "linux/amd64/v4"],
            ["linux/amd64/v3", "linux/amd64/v2", "linux/amd64"],
        ),
        ("linux/arm/v6", ["linux/arm/v7", "linux/arm/v6", "linux/arm/v5"],
         ["linux/arm/v6", "linux/arm/v5"]),
        ("linux/arm", ["linux/arm/v6", "linux/arm"], ["linux/arm", "linux/arm/v6"]),
        ("linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], ["linux/arm64/v8", "linux/arm/v7"]),
        ("linux/arm64/v9", ["linux/arm64", "linux/arm64/v8.5", "linux/arm64/v8.6"],
         ["linux/arm64/v8.5", "linux/arm64"]),
        ("linux/amd64", ["unknown/unknown", ""], [""]),
        ("windows/amd64", ["linux/amd64", "windows/amd64"], ["windows/amd64"]),
        ("linux/s390x", ["linux/amd64"], []),
        ("linux/riscv64", ["linux/riscv64", "linux/riscv64"], ["linux/riscv64", "linux/riscv64"]),
    ],
)  # fmt: skip
def test_choice(wanted: str, offered: list[str], chosen: list[str]) -> None:
    found = platforms.choose(index(*offered), parse(wanted, "amd64"))
    assert [descriptor.digest for descriptor in found] == chosen


def test_levels_of_amd64() -> None:
    second = {"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"}
    third = {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}
    assert platforms.amd64_variant(["fpu"]) == ""
    assert platforms.amd64_variant(second) == "v2"
    assert platforms.amd64_variant(third) == ""
    assert platforms.amd64_variant(second | third) == "v3"


def test_host() -> None:
    assert platforms.of_host(Platform("linux", "arm64")) == Platform("linux", "arm64")
    assert platforms.of_host(Platform("linux", "amd64")).variant in ("", "v2", "v3", "v4")


def test_nonsense_variants() -> None:
    for variant in ("banana", "v8.99", "v99999", "v", "9."):
        for architecture in ("arm", "arm64", "amd64", "riscv64"):
            assert platforms.preferences(Platform("linux", architecture, variant))
