"""One value at a time."""

from __future__ import annotations

import pytest

from pierhead.daemon import values
from pierhead.daemon.options import Option


@pytest.mark.parametrize(
    ("text", "want"),
    [("64M", 64 << 20), ("1g", 1 << 30), ("10", 10), ("1.5k", 1536), ("2MiB", 2 << 20)],
)
def test_sizes(text: str, want: int) -> None:
    assert values.parse_size(text) == want


@pytest.mark.parametrize("text", ["", "M", "-1", "1X", "1 2"])
def test_bad_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="invalid size"):
        values.parse_size(text)


def test_ulimits() -> None:
    assert values.parse_ulimit("nofile=5:9") == {"nofile": (5, 9)}
    assert values.parse_ulimit("core=-1") == {"core": (-1, -1)}
    for bad in ("nofile", "nofile=9:5", "nofile=x", "=1", "nofile=-1:5"):
        with pytest.raises(ValueError):
            values.parse_ulimit(bad)


def test_pools() -> None:
    assert values.parse_pool("base=10.0.0.0/8,size=24") == ("10.0.0.0/8", 24)
    for bad in (
        "10.0.0.0/8",
        "base=x,size=24",
        "base=10.0.0.0/16,size=8",
        "base=10.0.0.0/16,size=x",
    ):
        with pytest.raises(ValueError):
            values.parse_pool(bad)


def test_booleans() -> None:
    assert values.parse_bool("T") and not values.parse_bool("0")
    with pytest.raises(ValueError, match="neither"):
        values.parse_bool("yes")


def test_mirrors_and_insecure_registries() -> None:
    option = Option("registry-mirror-for", "maplist", "", key="registry-mirrors-for")
    value = values.from_flag(option, "ghcr.io=http://a", None)
    value = values.from_flag(option, "ghcr.io=http://b", value)
    assert value == {"ghcr.io": ["http://a", "http://b"]}
    assert values.from_json(option, {"ghcr.io": ["http://a"]}) == {"ghcr.io": ["http://a"]}
    for wrong in ({"ghcr.io": "http://a"}, ["x"], {"ghcr.io": [1]}):
        with pytest.raises(ValueError, match="lists of strings"):
            values.from_json(option, wrong)
    for good in ("https://mirror.example", "http://127.0.0.1:5000/", "https://a.example/sub"):
        values.check_mirror(good)
    for bad in ("mirror.example", "ftp://x", "https://u:p@x", "https://x?q=1", "https://x#f"):
        with pytest.raises(ValueError, match="invalid mirror"):
            values.check_mirror(bad)
    for good in ("127.0.0.1:5000", "registry.example", "10.0.0.0/8"):
        values.check_registry(good)
    for bad in ("http://x", "", "-x", "10.0.0.0/99"):
        with pytest.raises(ValueError):
            values.check_registry(bad)


def test_labels_and_interfaces() -> None:
    values.check_label("a.b=c d")
    values.check_interface("10.0.0.1/24")
    for label in ("a", "=b", "a b=c"):
        with pytest.raises(ValueError, match="key=value"):
            values.check_label(label)
    for text in ("10.0.0.1", "10.0.0.0/24", "x/24"):
        with pytest.raises(ValueError):
            values.check_interface(text)
