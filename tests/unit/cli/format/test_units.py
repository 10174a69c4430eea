from __future__ import annotations

import pytest

from pierhead.cli.format.units import (
    bytes_size,
    char_width,
    ellipsis,
    human_duration,
    human_size,
    ram_in_bytes,
    text_width,
    truncate_id,
)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1kB"),
        (1024, "1.024kB"),
        (1982263, "1.982MB"),
        (10**9, "1GB"),
        (3420000000000000.0, "3.42PB"),
        (999999, "1000kB"),
        (-5, "-5B"),
    ],
)
def test_human_size(size: float, text: str) -> None:
    assert human_size(size) == text


def test_precision() -> None:
    assert human_size(1982263, 3) == "1.98MB"
    assert human_size(123456, 3) == "123kB"


@pytest.mark.parametrize(
    ("size", "text"),
    [(1024, "1KiB"), (25276063744, "23.54GiB"), (1023, "1023B"), (1536 * 1024, "1.5MiB")],
)
def test_bytes_size(size: int, text: str) -> None:
    assert bytes_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.9, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (59 * 60, "59 minutes"),
        (60 * 60, "About an hour"),
        (89 * 60, "About an hour"),
        (90 * 60, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (59 * 86400, "8 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_human_duration(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("32", 32),
        ("32b", 32),
        ("32k", 32768),
        ("1.5 GiB", 1610612736),
        ("2MB", 2097152),
        ("0.5t", 2**39),
    ],
)
def test_ram(text: str, size: int) -> None:
    assert ram_in_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid size: ''"),
        ("x", "invalid size: 'x'"),
        ("-1", "invalid size: '-1'"),
        ("5q", "invalid suffix: 'q'"),
        ("5kbb", "invalid suffix: 'kbb'"),
        ("5bb", "invalid suffix: 'bb'"),
        ("1.2.3k", 'strconv.ParseFloat: parsing "1.2.3": invalid syntax'),
    ],
)
def test_ram_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="invalid") as caught:
        ram_in_bytes(text)
    assert str(caught.value) == message


def test_ids_and_ellipses() -> None:
    assert truncate_id("sha256:cca326174f7454aa885e") == "cca326174f74"
    assert truncate_id("abc") == "abc"
    assert ellipsis("0123456789", 10) == "0123456789"
    assert ellipsis("0123456789a", 10) == "012345678…"
    assert ellipsis("abc", 0) == ""
    assert ellipsis("日本語", 1) == "日"
    assert ellipsis("日本語", 6) == "日本語"
    assert ellipsis("日本語!", 6) == "日本…"


def test_widths() -> None:
    assert char_width("a") == 1
    assert text_width("日本") == 4
    assert text_width("e\u0301") == 1
