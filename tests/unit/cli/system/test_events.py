from __future__ import annotations

import pytest

from support.fake_cli import run

EVENTS = [
    {
        "Type": "container",
        "Action": "die",
        "Actor": {"ID": "abc", "Attributes": {"name": "x", "exitCode": "0"}},
        "scope": "local",
        "time": 1136214245,
        "timeNano": 1136214245000000007,
    },
    {"Type": "network", "Action": "create", "Actor": {"ID": "n"}, "time": 1136214245},
]


@pytest.mark.parametrize(
    ("line", "out"),
    [
        (
            "events",
            "2006-01-02T15:04:05.000000007Z container die abc (exitCode=0, name=x)\n"
            "2006-01-02T15:04:05.000000000Z network create n\n",
        ),
        (
            "events --format {{.Type}}:{{.Actor.Attributes.name}}",
            "container:x\nnetwork:<no value>\n",
        ),
        (
            "system events --format json",
            '{"Type":"container","Action":"die","Actor":{"ID":"abc","Attributes":'
            '{"exitCode":"0","name":"x"}},"scope":"local","time":1136214245,'
            '"timeNano":1136214245000000007}\n'
            '{"Type":"network","Action":"create","Actor":{"ID":"n","Attributes":null},'
            '"time":1136214245}\n',
        ),
    ],
)
def test_output(line: str, out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert run(line, {"GET /events": EVENTS}).out == out


def test_query() -> None:
    result = run(
        "events --since 2006-01-02T15:04:05Z --until 5 -f type=container", {"GET /events": []}
    )
    assert result.request.query == {
        "since": "1136214245.000000000",
        "until": "5",
        "filters": {"type": ["container"]},
    }


def test_refused() -> None:
    result = run("events --format {{.Foo}}", {})
    assert (result.code, result.requests) == (64, [])
    assert result.err.startswith("Error parsing format: template: :1:2: executing")
    assert result.err.endswith("can't evaluate field Foo in type *events.Message\n")
    assert run("events --since foo", {}).err == (
        'failed to parse value as time or duration: "foo"\n'
    )
