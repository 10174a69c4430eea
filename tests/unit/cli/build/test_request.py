from __future__ import annotations

import pytest

from pierhead.cli.build.request import Request, options


def test_what_is_empty_is_left_out() -> None:
    assert options(Request(), {"context": ""}, "") == {"context": ""}


def test_fields() -> None:
    request = Request()
    request.tags = ["a"]
    request.platforms = ["linux/amd64,linux/arm64", "linux/amd64"]
    request.outputs = [{"type": "local", "dest": "x"}]
    request.build_args = {"SOURCE_DATE_EPOCH": "5", "BUILDKIT_INLINE_CACHE": "1"}
    request.attestations = {"provenance": {"mode": "max"}, "sbom": None}
    request.network = "host"
    request.ulimits = [["nofile", 1, 2]]
    found = options(request, {"context": "context"}, "key")
    assert found["platforms"] == ["linux/amd64", "linux/arm64"]
    assert found["outputs"] == [{"type": "local", "attributes": {"dest": "x"}, "number": 0}]
    assert found["cache_to"] == [{"type": "inline", "attributes": {}}]
    assert found["source_date_epoch"] == 5
    assert found["provenance"] == {"mode": "max"} and "sbom" not in found
    assert found["entitlements"] == ["network.host"]
    assert found["limits"] == {"ulimits": [["nofile", 1, 2]]}
    assert found["multi_stage_cache_key"] == "key"


def test_push_and_load() -> None:
    request = Request()
    request.push_and_load(push=True, load=True)
    assert request.outputs == [{"type": "image", "push": "true"}, {"type": "docker"}]
    request = Request()
    request.outputs = [{"type": "registry"}]
    request.push_and_load(push=True, load=False)
    assert request.outputs == [{"type": "registry", "push": "true"}]


def test_outputs_are_settled() -> None:
    request = Request()
    request.tags = ["a"]
    request.outputs = [{"type": "registry"}, {"type": "docker"}, {"type": "tar", "dest": "f"}]
    request.settle_outputs()
    assert request.outputs == [
        {"type": "image", "push": "true"},
        {"type": "image"},
        {"type": "tar", "dest": "f"},
    ]


@pytest.mark.parametrize(
    ("outputs", "told"),
    [
        ([{"type": "local"}], "dest is required for local output"),
        ([{"type": "registry"}], "tag is needed when pushing to registry"),
        ([{"type": "tar"}, {"type": "oci"}], "only one output can be written to stdout"),
    ],
)
def test_outputs_that_cannot_be(outputs: list[dict[str, str]], told: str) -> None:
    request = Request()
    request.outputs = outputs
    with pytest.raises(ValueError, match=told):
        request.settle_outputs()


def test_networks() -> None:
    request = Request()
    found = {}
    for name in ("default", "none", "host", "mynet"):
        request.network = name
        fields = options(request, {}, "")
        found[name] = (fields.get("network"), fields.get("network_name"))
    assert found == {
        "default": (None, None),
        "none": ("none", None),
        "host": ("host", None),
        "mynet": (None, "mynet"),
    }


def test_refusals() -> None:
    request = Request()
    request.attestations = {"foo": {}}
    with pytest.raises(ValueError, match="foo"):
        options(request, {}, "")
    request = Request()
    request.build_args = {"SOURCE_DATE_EPOCH": "x"}
    with pytest.raises(ValueError, match="SOURCE_DATE_EPOCH"):
        options(request, {}, "")
