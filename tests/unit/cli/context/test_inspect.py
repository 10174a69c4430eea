from __future__ import annotations

import json

from support.fake_cli import run


def test_default() -> None:
    result = run("context inspect")
    assert '"MetadataPath": "\\u003cIN MEMORY\\u003e"' in result.out
    assert json.loads(result.out)[0]["Endpoints"]["docker"]["Host"] == "unix:///run/test.sock"
    assert run("context inspect -f {{.Name}} default").out == "default\n"
    result = run("context inspect nope")
    assert (result.code, result.out) == (1, "[]\n")
