from __future__ import annotations

import base64

import pytest

from pierhead.build.export.model import Material
from pierhead.build.export.provenance import redacted, statement
from pierhead.errors import InvalidParameter
from unit.build.export.conftest import Build


def test_max_has_arguments_steps_and_source(build: Build) -> None:
    image = build.assembled(b"one")
    solved = build.solved(image, build_args={"A": "1"}, labels={"l": "2"}, target="final")
    made = statement(solved, image, {"mode": "max", "builder-id": "https://ci/1"})
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    definition = made["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {
        "configSource": {"path": "Dockerfile"},
        "request": {
            "frontend": "dockerfile.v0",
            "args": {"build-arg:A": "1", "label:l": "2", "target": "final"},
            "locals": [{"name": "context"}],
        },
    }
    assert definition["resolvedDependencies"][0]["uri"].startswith("pkg:docker/busybox@latest")
    steps = definition["internalParameters"]["buildConfig"]["llbDefinition"]
    assert steps[1] == {
        "id": "step1",
        "op": {"instruction": "RUN make"},
        "inputs": ["step0:0"],
    }
    details = made["predicate"]["runDetails"]
    assert details["builder"] == {"id": "https://ci/1"}
    assert details["metadata"]["startedOn"] == "2023-11-14T22:13:20Z"
    assert details["metadata"]["buildkit_completeness"] == {
        "request": True,
        "resolvedDependencies": False,
    }
    [info] = details["metadata"]["buildkit_metadata"]["source"]["infos"]
    assert base64.b64decode(info["data"]) == solved.dockerfile


def test_min_leaves_out_what_may_be_secret(build: Build) -> None:
    image = build.assembled(b"one")
    solved = build.solved(image, build_args={"TOKEN": "hush"})
    made = str(statement(solved, image, {"mode": "min"}))
    assert "hush" not in made and "RUN make" not in made and "busybox@latest" in made


def test_the_older_form(build: Build) -> None:
    image = build.assembled(b"one")
    made = statement(build.solved(image), image, {"version": "v0.2", "reproducible": "true"})
    assert made["predicateType"] == "https://slsa.dev/provenance/v0.2"
    predicate = made["predicate"]
    assert predicate["buildType"] == "https://mobyproject.org/buildkit@v1"
    assert predicate["invocation"]["configSource"] == {"entryPoint": "Dockerfile"}
    assert predicate["metadata"]["reproducible"] is True
    assert predicate["materials"] and predicate["buildConfig"]["llbDefinition"]


def test_a_remote_context_is_where_the_build_is_from(build: Build) -> None:
    image = build.assembled(b"one")
    commit = "a" * 40
    image.materials.append(Material(uri="https://me:pw@host/r.git#main", digest=commit))
    solved = build.solved(image, context="https://me:pw@host/r.git#main")
    made = statement(solved, image, {})
    source = made["predicate"]["buildDefinition"]["externalParameters"]["configSource"]
    assert source == {
        "uri": "https://host/r.git#main",
        "digest": {"sha1": commit},
        "path": "Dockerfile",
    }
    assert "pw" not in str(made)
    assert redacted("https://u:p@h/x") == "https://h/x"


@pytest.mark.parametrize("given", [{"mode": "much"}, {"version": "v2"}, {"mood": "good"}])
def test_what_can_t_be_is_refused(build: Build, given: dict[str, str]) -> None:
    image = build.assembled(b"one")
    with pytest.raises(InvalidParameter):
        statement(build.solved(image), image, given)
