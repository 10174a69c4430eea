"""Results were compared with docker-buildx 0.29."""

from __future__ import annotations

import pytest

from pierhead.cli.bake.compose import interpolate, read
from pierhead.cli.bake.target import BakeProblem

pytest.importorskip("yaml")

FILE = b"""
services:
  web:
    image: me/web:${TAG:-dev}
    build:
      context: ./web
      dockerfile: D
      args:
        A: 1
        B:
        NO:
      target: prod
      labels: ["x=y"]
      cache_from: ["me/cache"]
      platforms: [linux/amd64]
      shm_size: 128m
      ulimits: {nofile: {soft: 1, hard: 2}}
      extra_hosts: ["a:1.2.3.4"]
      ssh: [default]
      secrets: [tok]
      additional_contexts: {base: "docker-image://alpine", o: "service:db"}
      network: host
      no_cache: true
      provenance: false
      x-bake:
        tags: [extra:1]
        output: ["type=docker"]
        no-cache-filter: stage
  db.x:
    image: me/db:${TAG:-dev}
    build: .
  plain: {image: busybox}
secrets:
  tok: {environment: TOK}
"""


def test_a_service_is_a_target() -> None:
    groups, targets = read([("c.yaml", FILE)], {"TAG": "x", "B": "env"})
    assert groups == {"default": {"targets": ["db_x", "web"]}}
    assert targets["db_x"] == {"context": ".", "tags": ["me/db:x"]}
    assert targets["web"] == {
        "context": "web",
        "dockerfile": "D",
        "target": "prod",
        "network": "host",
        "args": {"A": "1", "B": "env"},
        "labels": {"x": "y"},
        "contexts": {"base": "docker-image://alpine", "o": "target:db"},
        "tags": ["extra:1"],
        "cache-from": [{"type": "registry", "ref": "me/cache"}],
        "platforms": ["linux/amd64"],
        "shm-size": "128MiB",
        "ulimits": ["nofile=1:2"],
        "extra-hosts": {"a": "1.2.3.4"},
        "ssh": [{"id": "default", "paths": []}],
        "secret": [{"id": "tok", "env": "TOK"}],
        "attest": [{"type": "provenance", "disabled": "true"}],
        "no-cache": True,
        "output": [{"type": "docker"}],
        "no-cache-filter": ["stage"],
    }


def test_a_later_file_is_put_over() -> None:
    over = b"services: {web: {build: {args: {C: 3}, tags: ['o:1']}}}"
    _, targets = read([("a.yaml", FILE), ("b.yaml", over)], {})
    assert targets["web"]["args"] == {"A": "1", "C": "3"}
    assert targets["web"]["tags"] == ["o:1", "extra:1"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$A-${A}", "x-x"),
        ("$$A", "$A"),
        ("${N:-d}${E:-e}${E-f}", "de"),
        ("${A:+y}${N:+z}${E+w}", "yw"),
        ("${N:-${A}}", "x"),
        ("${A:?no}", "x"),
        ("a$", "a$"),
    ],
)
def test_interpolation(text: str, found: str) -> None:
    if text == "a$":
        with pytest.raises(BakeProblem):
            interpolate(text, {})
    else:
        assert interpolate(text, {"A": "x", "E": ""}) == found


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (b"[", "yaml"),
        (b"- a", "must be a mapping"),
        (b"{}", "empty compose file"),
        (
            b"services: {a: {build: {context: '${X:?is needed}'}}}",
            "X is missing a value: is needed",
        ),
        (b"services: {a: {build: {secrets: [x]}}}", 'undefined secret "x"'),
        (b"services: {'a b': {build: .}}", "invalid service name"),
        (b"services: {a: {build: '${'}}", "invalid interpolation format"),
    ],
)
def test_faults(file: bytes, told: str) -> None:
    with pytest.raises(BakeProblem) as problem:
        read([("c.yaml", file)], {})
    assert told in str(problem.value)
