from __future__ import annotations

from pierhead.engine.images import packages

STATUS = b"""Package: base
Status: install ok installed
Version: 1.0-1
Description: first
 Version: not this

Package: gone
Status: deinstall ok config-files
Version: 2

Package: odd
Status: hold ok installed
Version: 3:1~x
"""
APK = b"C:Q1\nP:musl\nV:1.2.4-r1\nA:x86_64\n\nP:busybox\nV:1.36\n"


def test_dpkg() -> None:
    assert packages.collect([(b"var/lib/dpkg/status", STATUS)]) == {
        "dpkg": {"base": ["1.0-1"], "odd": ["3:1~x"]}
    }
    stanza = b"Package: tzdata\nVersion: 2024a\n"
    assert packages.collect([(b"var/lib/dpkg/status.d/tzdata", stanza)]) == {
        "dpkg": {"tzdata": ["2024a"]}
    }


def test_apk() -> None:
    for path in (b"lib/apk/db/installed", b"usr/lib/apk/db/installed"):
        assert packages.wants_content(path)
        found = packages.collect([(path, APK)])
        assert found == {"apk": {"busybox": ["1.36"], "musl": ["1.2.4-r1"]}}


def test_pip() -> None:
    names = (
        b"usr/lib/python3/dist-packages/Foo_Bar-1.2.dist-info",
        b"usr/lib/python3/dist-packages/Foo_Bar-1.2.dist-info/METADATA",
        b"opt/venv/lib/python3.11/site-packages/foo.bar-1.3.dist-info/RECORD",
        b"usr/lib/python3/dist-packages/old-0.1-py3.9.egg-info",
        b"usr/lib/python3/dist-packages/plain.py",
        b"usr/lib/-info/x",
    )
    assert [packages.names_package(name) for name in names] == [True] * 4 + [False] * 2
    found = packages.collect((name, b"") for name in names)
    assert found == {"pip": {"foo-bar": ["1.2", "1.3"], "old": ["0.1"]}}


def test_npm() -> None:
    files = [
        (b"app/node_modules/left-pad/package.json", b'{"name":"left-pad","version":"1.0.0"}'),
        (b"app/node_modules/@a/b/package.json", b'{"version":"2.0.0"}'),
        (b"app/node_modules/x/node_modules/left-pad/package.json", b'{"version":"0.9.0"}'),
        (b"app/node_modules/x/test/fixture/package.json", b'{"version":"9"}'),
        (b"app/node_modules/broken/package.json", b"{"),
        (b"app/node_modules/strange/package.json", b"[1]"),
        (b"app/package.json", b'{"version":"3"}'),
    ]
    assert packages.collect(files) == {"npm": {"@a/b": ["2.0.0"], "left-pad": ["0.9.0", "1.0.0"]}}
    assert [packages.wants_content(path) for path, _ in files] == [
        True, True, True, False, True, True, False,
    ]  # fmt: skip


def test_compare() -> None:
    a: packages.Found = {"dpkg": {"same": ["1"], "gone": ["1"], "up": ["1"]}, "apk": {"x": ["1"]}}
    b: packages.Found = {"dpkg": {"same": ["1"], "new": ["1"], "up": ["2"]}, "apk": {"x": ["1"]}}
    assert packages.compare(a, b) == {
        "dpkg": {
            "Added": [{"Name": "new", "Versions": ["1"]}],
            "Removed": [{"Name": "gone", "Versions": ["1"]}],
            "Changed": [{"Name": "up", "A": ["1"], "B": ["2"]}],
        },
        "apk": {"Added": [], "Removed": [], "Changed": []},
    }
    assert packages.compare({}, {}) == {}
