"""The witness for texts and results is docker-buildx 0.29."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pierhead.cli.build import values


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("out", {"type": "local", "dest": "out"}),
        ("-", {"type": "tar", "dest": "-"}),
        ("type=image,push=true", {"type": "image", "push": "true"}),
        ('type=image,"annotation.a=b,c"', {"type": "image", "annotation.a": "b,c"}),
        ("TYPE=tar, Dest=x", {"type": "tar", "dest": "x"}),
    ],
)
def test_output(text: str, found: dict[str, str]) -> None:
    assert values.output(text) == found


def test_cache_entries() -> None:
    assert values.cache_entries(["a,b", "", "type=local,src=x"]) == [
        {"type": "registry", "ref": "a"},
        {"type": "registry", "ref": "b"},
        {"type": "local", "src": "x"},
    ]


def test_attestations() -> None:
    flag = values.attestation_flag
    assert flag("sbom", "true") == "type=sbom,disabled=false"
    assert flag("provenance", "0") == "type=provenance,disabled=true"
    assert flag("provenance", "mode=max") == "type=provenance,mode=max"
    assert values.attestations(
        ["type=sbom,generator=x", "type=provenance,disabled=1", "type=sbom,disabled=1"]
    ) == {"sbom": {"generator": "x"}, "provenance": None}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("id=a", {"id": "a"}),
        ("id=a,source=/x", {"id": "a", "src": "/x"}),
        ("type=env,id=a,src=V", {"id": "a", "env": "V"}),
        ("id=a,env=V", {"id": "a", "env": "V"}),
    ],
)
def test_secret(text: str, found: dict[str, str]) -> None:
    assert values.secret(text) == found


def test_ssh() -> None:
    assert values.ssh("default") == {"id": "default", "paths": []}
    assert values.ssh("k=a,b") == {"id": "k", "paths": ["a", "b"]}


def test_key_values() -> None:
    assert values.key_values(["a=1=2", "b", "c"], {"b": "B"}) == {"a": "1=2", "b": "B"}
    assert values.key_values(["a"], None) == {"a": ""}


def test_hosts_and_limits() -> None:
    assert values.hosts(["a:1.2.3.4", "b=[::1]", "c=host-gateway", "d:1.1.1.1,2.2.2.2"]) == [
        ["a", "1.2.3.4"],
        ["b", "::1"],
        ["c", "host-gateway"],
        ["d", "1.1.1.1"],
        ["d", "2.2.2.2"],
    ]
    assert values.ulimits(["nofile=1:2", "core=-1"]) == [["nofile", 1, 2], ["core", -1, -1]]


def test_annotations_and_contexts() -> None:
    keys = ["a=b", "index:c=d", "manifest[linux/amd64],index:e=f=g"]
    assert values.annotation_keys(keys) == {
        "a": "b",
        "index:c": "d",
        "manifest[linux/amd64],index:e": "f=g",
    }
    assert values.contexts(["x:latest=./y"]) == {"x": "./y"}


def test_call() -> None:
    assert values.call("check,format=json")["name"] == "lint"
    assert values.call("")["name"] == "build"
    assert values.call("outline,ignorestatus=1")["ignorestatus"] == "true"


@pytest.mark.parametrize(
    ("function", "argument", "told"),
    [
        (values.output, "type=image,push", "invalid value push"),
        (values.output, "dest=x,a=b", "type is required for output"),
        (values.cache_entries, ["src=x"], 'type required for "src=x"'),
        (values.attestation, "mode=max", "attestation type not specified"),
        (values.secret, "id=a,foo=b", "unexpected key 'foo' in 'foo=b'"),
        (values.secret, "x", "invalid field 'x' must be a key=value pair"),
        (values.secret, "type=x", 'unsupported secret type "x"'),
        (values.annotation_keys, ["a"], 'invalid annotation "a", expected key=value'),
        (values.annotation_keys, ["foo:a=b"], 'unknown annotation type "foo"'),
        (values.contexts, ["x"], "invalid context value: x, expected key=value"),
        (values.hosts, ["a:b"], "invalid host a:b"),
        (values.ulimits, ["nofile=2:1"], "must be less than or equal to hard limit"),
        (values.call, "nope", "unknown print function: nope"),
        (values.call, "check,a=b", "invalid print field: a=b"),
    ],
)
def test_complaints(function: Callable[[Any], Any], argument: Any, told: str) -> None:
    with pytest.raises(ValueError) as problem:
        function(argument)
    assert told in str(problem.value)
