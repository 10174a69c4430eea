"""A client's attributes as options."""

from __future__ import annotations

import pytest

from pierhead.build.buildkit.options import (
    build_options,
    call_of,
    local_sessions,
    outputs_of,
    upload_id,
)
from pierhead.build.model import CacheOption, NetworkMode, Output
from pierhead.errors import InvalidParameter, NotImplementedYet


def test_what_buildx_sends_for_a_directory() -> None:
    options = build_options(
        {
            "filename": "D",
            "build-arg:A": "1",
            "build-arg:EMPTY": "",
            "label:l": "v",
            "target": "t",
            "platform": "linux/amd64,linux/arm64",
            "image-resolve-mode": "local",
            "attest:provenance": "mode=min,inline-only=true",
            "vcs:revision": "abc",
        },
        ref="r",
    )
    assert (options.context, options.dockerfile, options.dockerfile_source) == (
        "context",
        "D",
        "dockerfile",
    )
    assert options.build_args == {"A": "1", "EMPTY": ""}
    assert options.labels == {"l": "v"}
    assert options.target == "t"
    assert options.platforms == ["linux/amd64", "linux/arm64"]
    assert options.provenance == {"mode": "min", "inline-only": "true"}
    assert options.sbom is None
    assert not options.pull
    assert options.ref == "r"


def test_a_remote_context_has_the_dockerfile_inside() -> None:
    options = build_options({"context": "https://host/x.git"})
    assert (options.context, options.dockerfile_source) == ("https://host/x.git", "")
    options = build_options({"context": "https://host/x.git", "dockerfilekey": "dockerfile"})
    assert options.dockerfile_source == "dockerfile"


def test_a_context_that_is_uploaded() -> None:
    attributes = {"context": "http://buildkit-session/abc"}
    assert upload_id(attributes) == "abc"
    assert upload_id({"context": "https://host/abc"}) == ""
    options = build_options(attributes)
    assert (options.context, options.dockerfile_source) == ("context", "")


def test_named_contexts() -> None:
    options = build_options(
        {
            "context:img": "docker-image://busybox",
            "context:dir": "local:dir",
            "context:base::linux/amd64": "input:0-base",
        },
        inputs={"0-base": "REF"},
    )
    assert options.named_contexts == {
        "img": "docker-image://busybox",
        "dir": "local:dir",
        "base": "solved://REF",
    }
    with pytest.raises(InvalidParameter, match="invalid input nope for x"):
        build_options({"context:x": "input:nope"})
    with pytest.raises(NotImplementedYet, match="LLB"):
        build_options({}, inputs={"context": "REF"})


def test_cache() -> None:
    options = build_options(
        {
            "no-cache": "",
            "cache-imports": '[{"Type":"registry","Attrs":{"ref":"a"}},{"Type":"local"}]',
            "cache-from": "a,b",
        },
        cache_to=[CacheOption(type="inline")],
    )
    assert options.no_cache
    assert options.cache_from == [
        CacheOption(type="registry", attributes={"ref": "a"}),
        CacheOption(type="local"),
        CacheOption(type="registry", attributes={"ref": "b"}),
    ]
    assert options.cache_to == [CacheOption(type="inline")]
    assert build_options({"no-cache": "a,b"}).no_cache_stages == ["a", "b"]
    with pytest.raises(InvalidParameter, match="cache-imports"):
        build_options({"cache-imports": "{"})


def test_limits_hosts_network() -> None:
    options = build_options(
        {
            "add-hosts": "A=1.2.3.4,b=::1",
            "ulimit": "nofile=1024:2048,nproc=5",
            "shm-size": "1000",
            "cgroup-parent": "p",
            "force-network-mode": "none",
            "memory": "7",
        }
    )
    assert options.add_hosts == [("a", "1.2.3.4"), ("b", "::1")]
    assert list(options.limits.ulimits) == [("nofile", 1024, 2048), ("nproc", 5, 5)]
    assert (options.limits.shm_size, options.limits.memory) == (1000, 7)
    assert options.limits.cgroup_parent == "p"
    assert options.network is NetworkMode.NONE


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"add-hosts": "a"}, "invalid key-value pair a"),
        ({"add-hosts": "a=b"}, "failed to parse IP b"),
        ({"ulimit": "x=y"}, "invalid ulimit argument"),
        ({"shm-size": "1g"}, "invalid shm-size value: 1g"),
        ({"force-network-mode": "bridge"}, "invalid netmode bridge"),
        ({"image-resolve-mode": "x"}, "invalid image-resolve-mode: x"),
        ({"build-arg:SOURCE_DATE_EPOCH": "x"}, "invalid SOURCE_DATE_EPOCH: x"),
    ],
)
def test_refused(attributes: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        build_options(attributes)


def test_outputs() -> None:
    outputs = outputs_of(
        [
            ("moby", {"name": "a:1,b:2", "prefer-image-digest": "true", "load": "true"}),
            ("local", {"name": "c"}),
            ("oci", {"name": "a:1"}),
        ]
    )
    assert outputs == [
        Output(type="image", attributes={"name": "a:1,b:2"}, number=0),
        Output(type="local", attributes={"name": "c"}, number=1),
        Output(type="oci", attributes={"name": "a:1"}, number=2),
    ]
    assert build_options({}, outputs=outputs).tags == ["a:1", "b:2"]
    assert outputs_of([]) == [Output(type="cacheonly")]


def test_times_and_attestations() -> None:
    options = build_options(
        {
            "build-arg:SOURCE_DATE_EPOCH": "12",
            "attest:sbom": "generator=x",
            "attest:provenance": "disabled=true",
        }
    )
    assert options.source_date_epoch == 12
    assert options.sbom == {"generator": "x"}
    assert options.provenance is None


def test_calls() -> None:
    assert call_of({}) == ""
    assert call_of({"requestid": "frontend.lint"}) == "check"
    assert call_of({"requestid": "frontend.outline"}) == "outline"
    assert call_of({"requestid": "frontend.targets"}) == "targets"
    with pytest.raises(NotImplementedYet, match=r"unsupported request frontend\.x"):
        call_of({"requestid": "frontend.x"})


def test_sources_of_other_sessions() -> None:
    assert local_sessions({"local-sessionid:context": "s2", "x": "y"}) == {"context": "s2"}
