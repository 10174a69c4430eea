from __future__ import annotations

from support.fake_cli import run

ANSWERS = {"POST /volumes/create": {"Name": "v"}}


def test_request() -> None:
    result = run("volume create -d x -o type=tmpfs -o o=size=1m --label a=1 v", ANSWERS)
    assert result.out == "v\n"
    assert result.request.body == {
        "Name": "v",
        "Driver": "x",
        "DriverOpts": {"type": "tmpfs", "o": "size=1m"},
        "Labels": {"a": "1"},
    }


def test_refused() -> None:
    assert "cannot specify a volume-name" in run("volume create --name a b", ANSWERS).err
    assert "not implemented yet" in run("volume create --scope multi b", ANSWERS).err
    assert run("volume create --name a", ANSWERS).request.body["Name"] == "a"
