from __future__ import annotations

import os
from pathlib import Path

import pytest

from pierhead.engine.containers.users import ExecUser, lookup_user, read_account_files
from pierhead.errors import InvalidParameter

PASSWD = """root:x:0:0:root:/root:/bin/sh
# a comment
broken line
bob:x:1000:1001:Bob:/home/bob:/bin/sh
1234:x:55:56::/numeric:/bin/sh
nohome:x:7:7
"""
GROUP = """root:x:0:
wheel:x:10:root,bob
bob:x:1001:bob
audio:x:29:bob
"""


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", ExecUser(0, 0, (10,), "/root")),
        ("root", ExecUser(0, 0, (10,), "/root")),
        ("bob", ExecUser(1000, 1001, (10, 29), "/home/bob")),
        ("1000", ExecUser(1000, 1001, (10, 29), "/home/bob")),
        ("bob:audio", ExecUser(1000, 29, (), "/home/bob")),
        ("bob:33", ExecUser(1000, 33, (), "/home/bob")),
        ("4711", ExecUser(4711, 0, (), "/")),
        ("4711:4712", ExecUser(4711, 4712, (), "/")),
        ("1234", ExecUser(55, 56, (), "/numeric")),
        ("nohome", ExecUser(7, 7, (), "/")),
        (":audio", ExecUser(0, 29, (), "/root")),
    ],
)
def test_users(user: str, expected: ExecUser) -> None:
    assert lookup_user(user, PASSWD, GROUP) == expected


def test_without_files() -> None:
    assert lookup_user("", "", "") == ExecUser(0, 0, (), "/")
    assert lookup_user("5:6", "", "") == ExecUser(5, 6, (), "/")


def test_unknown_user() -> None:
    with pytest.raises(InvalidParameter) as caught:
        lookup_user("eve", PASSWD, GROUP)
    assert caught.value.message == "unable to find user eve: no matching entries in passwd file"


def test_unknown_group() -> None:
    with pytest.raises(InvalidParameter) as caught:
        lookup_user("bob:nope", PASSWD, GROUP)
    assert caught.value.message == "unable to find group nope: no matching entries in group file"


def test_group_add() -> None:
    found = lookup_user("bob", PASSWD, GROUP, ["wheel", "77", "root"])
    assert found.supplementary == (10, 29, 77, 0)


def test_ids_out_of_range() -> None:
    with pytest.raises(InvalidParameter, match="must be in range"):
        lookup_user("4294967296", "", "")


def test_files_are_read_inside_the_root(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("secret")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "passwd").symlink_to(outside)
    os.mkfifo(root / "etc" / "group")
    assert read_account_files(root) == ("", "")
    (root / "etc" / "passwd").unlink()
    (root / "real").write_text(PASSWD)
    (root / "etc" / "passwd").symlink_to("/real")
    assert read_account_files(root)[0] == PASSWD
    assert read_account_files(tmp_path / "missing") == ("", "")
