from __future__ import annotations

import json
import os

from pierhead.engine.images.entry_json import Writer, absolute, entry_json
from pierhead.engine.images.layer_entries import Entry
from support.layers import memory_file


def test_an_entry() -> None:
    entry = Entry(b"x", "file", 0o4755, 1, 2, 3, 4)
    assert json.loads(entry_json(b'a"b', entry, 3, ',"More":1')) == {
        "Path": '/a"b',
        "Type": "file",
        "Mode": "4755",
        "Uid": 1,
        "Gid": 2,
        "Size": 3,
        "Modified": 4,
        "More": 1,
    }


def test_links_devices_and_attributes() -> None:
    link = json.loads(entry_json(b"l", Entry(b"l", "symlink", 0o777, 0, 0, 0, 0, b"t\xff"), 0))
    assert link["Link"] == "t\udcff"
    device = json.loads(entry_json(b"d", Entry(b"d", "char", 0o666, 0, 0, 0, 0, device=(1, 3)), 0))
    assert device["Device"] == "1:3"
    entry = Entry(b"x", "file", 0o644, 0, 0, 0, 0, xattrs=((b"user.a", b"\x01"),))
    assert json.loads(entry_json(b"x", entry, 0))["Xattrs"] == {"user.a": "\x01"}


def test_names_keep_their_bytes() -> None:
    assert absolute(b"\xff\xc3\xa9").encode("utf-8", "surrogateescape") == b"/\xff\xc3\xa9"


def test_the_writer() -> None:
    fd = memory_file(b"")
    out = Writer(fd)
    out.put("{")
    out.members({"A": 1})
    out.put(',"B":')
    out.array(str(number) for number in range(100_000))
    out.put(',"C":')
    out.array([])
    out.put("}")
    out.flush()
    data = json.loads(os.pread(fd, 1 << 20, 0))
    assert data == {"A": 1, "B": list(range(100_000)), "C": []}
