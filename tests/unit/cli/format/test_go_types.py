from __future__ import annotations

import pytest

from pierhead.cli.format.go_fields import FIELDS
from pierhead.cli.format.go_types import KINDS, typed
from pierhead.cli.gotemplate import TemplateError, parse
from pierhead.cli.gotemplate.json_text import encode

CONTAINER = {
    "Id": "abc",
    "State": {"Pid": 7, "Health": {"Status": "healthy", "Log": None}},
    "HostConfig": {
        "Memory": 5,
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
        "PidsLimit": 3,
    },
    "Config": {"Env": ["A=1"], "Healthcheck": {"Interval": 1_500_000_000}},
    "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
}


@pytest.mark.parametrize(
    ("template", "out"),
    [
        ("{{.ID}} {{.State.Pid}} {{.State.Health.Status}}", "abc 7 healthy"),
        (
            "{{range $p, $b := .HostConfig.PortBindings}}{{$p}} {{$p.Port}} {{$p.Proto}} "
            "{{(index $b 0).HostPort}}{{end}}",
            "80/tcp 80 tcp 8080",
        ),
        ("{{.HostConfig.PortBindings}}", "map[80/tcp:[{ 8080}]]"),
        ("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "172.17.0.2"),
        ("{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.Init}}", "5 3 <nil>"),
        ("{{.Config.Healthcheck.Interval}}", "1.5s"),
        ("{{json .State.Health}}", '{"Status":"healthy","FailingStreak":0,"Log":null}'),
        ("{{.Mounts}} {{json .Mounts}} {{.ImageManifestDescriptor}}", "[] null <nil>"),
        ("{{.HostConfig.ConsoleSize}} {{.Config.Labels}}", "[0 0] map[]"),
    ],
)
def test_a_container(template: str, out: str) -> None:
    assert parse(template).execute(typed(CONTAINER, "container")) == out


def test_zero_values_and_order() -> None:
    assert encode(typed({}, "version")) == (
        '{"Platform":{"Name":""},"Version":"","ApiVersion":"","GitCommit":"","GoVersion":"",'
        '"Os":"","Arch":""}'
    )
    assert encode(typed({"Action": "die", "time": 5}, "event")) == (
        '{"Type":"","Action":"die","Actor":{"ID":"","Attributes":null},"time":5}'
    )


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_can_be_made_of_nothing(kind: str) -> None:
    encode(typed({}, kind))
    encode(typed(None, kind))


def test_every_type_named_is_there() -> None:
    plain = {"string", "bool", "int", "any", "bytes", "struct{}", "time.Time", "time.Duration"}
    plain |= {"int64", "int32", "uint16", "uint32", "uint64", "uint", "uint8"}
    for name, words in FIELDS.items():
        for word in words.split():
            base = word.partition(":")[2].rpartition("]")[2].lstrip("*")
            assert base in plain or base in FIELDS, (name, word)


def test_ports_are_a_type_of_their_own() -> None:
    """So docker, too, falls back to the raw JSON for this one."""
    template = parse('{{index .HostConfig.PortBindings "80/tcp"}}')
    with pytest.raises(TemplateError, match=r"value has type string; should be nat\.Port"):
        template.execute(typed(CONTAINER, "container"))
