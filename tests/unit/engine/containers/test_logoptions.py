from __future__ import annotations

import pytest

from pierhead.engine.containers.logoptions import LogOptions, details_of, parse_log_options
from pierhead.errors import InvalidParameter


def test_defaults_rotate() -> None:
    assert parse_log_options("json-file", None) == LogOptions(True, 10_000_000, 3)
    assert parse_log_options("none", {}).keep is False


def test_options() -> None:
    found = parse_log_options("local", {"max-size": "2m", "max-file": "5", "tag": "x"})
    assert (found.max_size_bytes, found.max_files) == (2 << 20, 5)
    assert parse_log_options("json-file", {"max-size": "-1"}).max_size_bytes == -1


@pytest.mark.parametrize(
    ("driver", "options", "text"),
    [
        ("nope", {}, "logger: no log driver named 'nope' is registered"),
        ("json-file", {"x": "1"}, "unknown log opt 'x' for json-file log driver"),
        ("local", {"x": "1"}, "unknown log opt 'x' for log driver local"),
        ("json-file", {"max-size": "big"}, "invalid size: 'big'"),
        ("json-file", {"max-file": "0"}, "invalid value for max-file: 0: must be a number above 0"),
    ],
)
def test_refusals(driver: str, options: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_log_options(driver, options)
    assert caught.value.message == text


def test_details() -> None:
    options = {"labels": "a,zz", "env": "X", "env-regex": "^Y"}
    assert details_of(options, ["X=1", "Y2=2", "Z=3"], {"a": "b", "c": "d"}) == {
        "a": "b",
        "X": "1",
        "Y2": "2",
    }
