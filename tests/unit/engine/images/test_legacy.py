from __future__ import annotations

import json

import pytest

from pierhead.engine.images import legacy
from pierhead.errors import InvalidParameter
from pierhead.oci.digest import DiffId, sha256


class Files:
    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def read(self, name: str) -> bytes:
        if name not in self._files:
            raise InvalidParameter(f"{name} is missing")
        return self._files[name]


def test_layers_are_followed_down_and_a_config_is_made() -> None:
    top = {
        "id": "top",
        "parent": "base",
        "created": "2015-01-01T00:00:00Z",
        "os": "linux",
        "architecture": "amd64",
        "config": {"Cmd": ["sh"]},
        "container_config": {"Cmd": ["/bin/sh", "-c", "make"]},
        "Size": 5,
    }
    files = Files(
        {
            "repositories": b'{"old/app": {"v1": "top", "v2": "top"}}',
            "top/json": json.dumps(top).encode(),
            "base/json": b'{"id": "base"}',
        },
    )
    ((layers, make_config, names),) = legacy.images(files)
    diff_ids = [DiffId(sha256(b"base tar")), DiffId(sha256(b"top tar"))]
    config = make_config(diff_ids)
    assert layers == ["base/layer.tar", "top/layer.tar"]
    assert [name.familiar for name in names] == ["old/app:v1", "old/app:v2"]
    decoded = json.loads(config)
    assert decoded["rootfs"]["diff_ids"] == diff_ids
    assert decoded["history"][1]["created_by"] == "/bin/sh -c make"
    assert decoded["config"] == {"Cmd": ["sh"]}
    assert "parent" not in decoded and "Size" not in decoded


@pytest.mark.parametrize(
    "files",
    [
        {"repositories": b"[]"},
        {"repositories": b'{"a": "b"}'},
        {"repositories": b'{"a": {"b": 1}}'},
        {"repositories": b'{"a": {"b": "missing"}}'},
        {"repositories": b'{"A": {"b": "x"}}'},
        {"repositories": b'{"a": {"b": "x"}}', "x/json": b'{"parent": "x"}', "x/layer.tar": b""},
    ],
)
def test_nonsense_is_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(InvalidParameter):
        legacy.images(Files(files))
