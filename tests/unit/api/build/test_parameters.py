"""The query of POST /build, and what dockerd says of a bad one."""

from __future__ import annotations

import json

import pytest
from multidict import MultiDict

from pierhead.api.build import parameters
from pierhead.build.model import BuildOptions, Limits, NetworkMode
from pierhead.errors import InvalidParameter, NotImplementedYet


def read(api: int = 56, **given: str | list[str]) -> parameters.ClassicRequest:
    pairs = [
        (key, item)
        for key, value in given.items()
        for item in (value if isinstance(value, list) else [value])
    ]
    return parameters.read(MultiDict(pairs), api)


PLAIN = BuildOptions(classic=True, door="classic", entitlements=frozenset({"network.host"}))


def test_nothing_given() -> None:
    assert read() == parameters.ClassicRequest(options=PLAIN)


def test_all_given() -> None:
    found = read(
        dockerfile="d/Dockerfile",
        t=["a", "b/c:1", "docker.io/library/a:latest", ""],
        extrahosts=["x:1.2.3.4", "y=[::1]", "v:::2"],
        remote="https://h.example/x.tar",
        q="1",
        nocache="true",
        cachefrom='["i"]',
        pull="1",
        rm="0",
        memory=str(8 << 20),
        memswap="-1",
        cpushares="2",
        cpusetcpus="0-1",
        cpusetmems="0",
        cpuperiod="3",
        cpuquota="4",
        buildargs=json.dumps({"A": "1", "B": None, "C": ""}),
        shmsize="65536",
        squash="1",
        labels='{"l":"m"}',
        networkmode="host",
        platform="linux/arm64",
        target="t",
        ulimits='[{"Name":"nofile","Soft":1,"Hard":2}]',
        cgroupparent="/c",
        buildid="ref",
        outputs="[]",
        version="1",
    )
    assert found.options == BuildOptions(
        classic=True,
        door="classic",
        entitlements=frozenset({"network.host"}),
        dockerfile="d/Dockerfile",
        tags=["a:latest", "b/c:1"],
        add_hosts=[("x", "1.2.3.4"), ("y", "::1"), ("v", "::2")],
        context="https://h.example/x.tar",
        no_cache=True,
        pull=True,
        build_args={"A": "1", "C": ""},
        labels={"l": "m"},
        squash=True,
        network=NetworkMode.HOST,
        platforms=["linux/arm64"],
        target="t",
        ref="ref",
        limits=Limits(
            memory=8 << 20,
            memory_swap=-1,
            cpu_shares=2,
            cpu_period=3,
            cpu_quota=4,
            cpuset_cpus="0-1",
            cpuset_mems="0",
            shm_size=65536,
            ulimits=(("nofile", 1, 2),),
            cgroup_parent="/c",
        ),
    )
    assert (found.quiet, found.remove, found.force_remove) == (True, False, False)
    assert found.cache_from == ["i"]


def test_networks() -> None:
    assert read(networkmode="bridge").options.network is NetworkMode.DEFAULT
    assert read(networkmode="none").options.network is NetworkMode.NONE
    assert read(networkmode="mine").options.network_name == "mine"
    with pytest.raises(NotImplementedYet, match="container's network"):
        read(networkmode="container:x")


def test_forced_removal_is_removal() -> None:
    found = read(rm="0", forcerm="1")
    assert (found.remove, found.force_remove) == (True, True)


def test_old_versions_have_no_platform() -> None:
    assert read(31, platform="linux/arm64").options.platforms == []


def test_numbers_that_are_none_count_as_nothing() -> None:
    assert read(memory="foo", cpuquota="1.5").options.limits == Limits()


def test_json_is_read_as_go_reads_it() -> None:
    found = read(labels='{"a":null}', ulimits='[{"name":"core","HARD":5}]', cachefrom="null")
    assert found.options.labels == {"a": ""}
    assert found.options.limits.ulimits == (("core", 0, 5),)
    assert found.cache_from == []


def test_several_hosts_in_one_value() -> None:
    assert read(extrahosts="a:1,b:2").options.add_hosts == [("a", "1"), ("b", "2")]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"buildargs": "["}, "error reading build args: "),
        ({"buildargs": '{"a":1}'}, "error reading build args: "),
        ({"labels": "[]"}, "error reading labels: "),
        ({"labels": '{"a":[]}'}, "error reading labels: "),
        ({"ulimits": "x"}, "error reading ulimit settings: "),
        ({"cachefrom": "x"}, "error reading cache-from: "),
        ({"outputs": "{"}, "invalid outputs specified: "),
        ({"isolation": "hyperv"}, 'Unsupported isolation: "hyperv"'),
        ({"shmsize": "foo"}, "shmsize"),
        ({"shmsize": "-1"}, "SHM size can not be less than 0"),
        ({"memory": "1000"}, "Minimum memory limit allowed is 6MB"),
        ({"t": "FOO"}, "invalid reference format: repository name"),
        ({"t": "a@sha256:" + "0" * 64}, "build tag cannot contain a digest"),
        ({"securityopt": "x"}, "does not support setting security options"),
        ({"platform": "a/b/c/d"}, '"a/b/c/d": cannot parse platform specifier'),
        ({"remote": "foo"}, r"remoteURL \(foo\) could not be recognized as URL"),
        ({"remote": "client-session"}, "use builder version v2"),
        ({"extrahosts": "a"}, 'bad format for add-host: "a"'),
    ],
)
def test_refusals(given: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        read(**given)


def test_versions() -> None:
    assert parameters.version(MultiDict()) == "1"
    assert parameters.version(MultiDict(version="2")) == parameters.BUILDKIT
    with pytest.raises(InvalidParameter, match='invalid version "3"'):
        parameters.version(MultiDict(version="3"))
