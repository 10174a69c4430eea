from __future__ import annotations

from support.fake_cli import run

ANSWERS = {"GET /volumes/v": b'{"Name":"v","Labels":{"a":"<1>"}}'}


def test_volume() -> None:
    assert run("volume inspect -f {{.Name}}{{.Labels.a}} v", ANSWERS).out == "v<1>\n"
    assert '"a": "\\u003c1\\u003e"' in run("volume inspect v", ANSWERS).out
    result = run("volume inspect -f {{.Foo}} v", ANSWERS)
    assert result.err.endswith("can't evaluate field Foo in type volume.Volume\n")
