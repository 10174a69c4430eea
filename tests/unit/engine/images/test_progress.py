from __future__ import annotations

from pierhead.engine.images.progress import bar, size


def test_sizes_have_four_digits() -> None:
    assert [size(n) for n in (0, 999, 1000, 1_459_200, 2_136_064, 5 * 10**13)] == [
        "0B", "999B", "1kB", "1.459MB", "2.136MB", "50TB",
    ]  # fmt: skip


def test_the_bar_fills() -> None:
    assert bar(0, 100).startswith("[>" + " " * 49 + "]")
    assert bar(50, 100).startswith("[" + "=" * 25 + ">" + " " * 24 + "]")
    assert bar(100, 100) == "[" + "=" * 50 + ">]     100B/100B"
    assert bar(5, 0) == "      5B"
