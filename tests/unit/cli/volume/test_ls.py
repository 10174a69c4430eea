from __future__ import annotations

from support.fake_cli import run

ANSWERS = {
    "GET /volumes": {"Volumes": [{"Name": "v10", "Driver": "local"}, {"Name": "v2", "Driver": "x"}]}
}


def test_output() -> None:
    assert run("volume ls", ANSWERS).out == ("DRIVER    VOLUME NAME\nx         v2\nlocal     v10\n")
    assert run("volume ls -q", ANSWERS).out == "v2\nv10\n"
    assert run("volume ls", ANSWERS, config={"volumesFormat": "{{.Name}}!"}).out == "v2!\nv10!\n"
    assert run("volume ls", {"GET /volumes": {"Volumes": None}}).out == "DRIVER    VOLUME NAME\n"
    assert run("volume ls --cluster -q", ANSWERS).out == ""


def test_filters() -> None:
    query = run("volume ls -f dangling=true", ANSWERS).request.query
    assert query == {"filters": {"dangling": ["true"]}}
