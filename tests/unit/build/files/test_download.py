"""Names of downloads. The rest: tests/integration/build/test_remote_sources.py."""

from __future__ import annotations

import pytest

from pierhead.build.files.download import UNNAMED, file_name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://h/a/b.txt?x=/y#z", "b.txt"), ("http://h/a/", "a"), ("http://h", UNNAMED),
        ("http://h/", UNNAMED), ("http://h/%2e%2e", UNNAMED), ("http://h/a%2fb", UNNAMED),
        ("http://h/a%20b", "a b"),
    ],
)  # fmt: skip
def test_the_name_is_the_last_part_of_the_path(url: str, name: str) -> None:
    assert file_name(url) == name
