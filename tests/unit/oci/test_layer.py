from __future__ import annotations

import pytest

from pierhead.errors import InvalidParameter
from pierhead.oci.layer import clean_name, show, whiteout_target


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        (b"a", b"a"), (b"./a", b"a"), (b"/a/b/", b"a/b"), (b"a//b", b"a/b"), (b"a/./b", b"a/b"),
        (b"a/../b", b"b"), (b"./", b""), (b".", b""), (b"", b""), (b"/", b""), (b"/../a", b"a"),
        (b"a/..", b""), (b"a/b/../../c", b"c"), (b"..a/b..", b"..a/b.."), (b"a.", b"a."),
        (b"\xff/x", b"\xff/x"),
    ],
)  # fmt: skip
def test_names_are_cleaned(name: bytes, clean: bytes) -> None:
    assert clean_name(name) == clean


@pytest.mark.parametrize("name", [b"..", b"../a", b"a/../..", b"./../a", b"a/../../b"])
def test_names_that_climb_out_are_refused(name: bytes) -> None:
    with pytest.raises(InvalidParameter, match="outside of the root"):
        clean_name(name)


@pytest.mark.parametrize("name", [b"x" * 5000, b"./" + b"y/" * 3000])
def test_names_have_a_limit(name: bytes) -> None:
    with pytest.raises(InvalidParameter, match="too long"):
        clean_name(name)


def test_whiteouts() -> None:
    assert whiteout_target(b".wh.a") == b"a"
    assert whiteout_target(b"a") is None
    for bad in (b".wh.", b".wh..", b".wh..."):
        with pytest.raises(InvalidParameter):
            whiteout_target(bad)


def test_names_are_shown_safely() -> None:
    assert show(b"a\n\xff") == "'a\\n\\\\xff'"
    assert len(show(b"x" * 9999)) < 300
