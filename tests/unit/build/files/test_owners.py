"""--chown by number and by name."""

from __future__ import annotations

import pytest

from pierhead.build.files import owners
from pierhead.errors import InvalidParameter

FILES = {
    "etc/passwd": b"root:x:0:0::/:\napp:x:7:8::/:\nbroken\n",
    "etc/group": b"root:x:0:\nstaff:x:50:app\n",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None), ("5", (5, 5)), ("5:6", (5, 6)), ("app", (7, 8)), ("app:staff", (7, 50)),
        ("app:9", (7, 9)), (":staff", (0, 50)), ("5:", (5, 5)), ("0:staff", (0, 50)),
    ],
)  # fmt: skip
def test_names_are_those_of_the_image(text: str, expected: tuple[int, int] | None) -> None:
    assert owners.parse(text, FILES.get) == expected


def test_unknown_names() -> None:
    with pytest.raises(InvalidParameter, match="can't find uid for user who: no such user: who"):
        owners.parse("who", FILES.get)
    with pytest.raises(InvalidParameter, match="no such group: gone"):
        owners.parse("app:gone", FILES.get)
    with pytest.raises(InvalidParameter, match="no such user"):
        owners.parse("app", lambda path: None)
    with pytest.raises(InvalidParameter, match="--link can't look names up"):
        owners.parse("app", None)
    assert owners.parse("3:4", None) == (3, 4)
