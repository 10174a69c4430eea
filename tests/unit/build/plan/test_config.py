"""The image config as instructions change it."""

from __future__ import annotations

import pytest

from pierhead.build.dockerfile.model import Cmd, Entrypoint, Range, Volume
from pierhead.build.plan.config import DEFAULT_PATH, ConfigState, ports_of, with_variable
from pierhead.errors import InvalidParameter
from pierhead.oci.image_config import ImageConfig, RunConfig

HERE = Range(1, 1)


def state(*, classic: bool = False, **config: object) -> ConfigState:
    return ConfigState(ImageConfig(config=RunConfig(**config)), classic=classic)  # type: ignore[arg-type]


def test_path_is_always_set() -> None:
    assert state().run.env == [f"PATH={DEFAULT_PATH}"]
    assert state(env=["PATH=/x"]).run.env == ["PATH=/x"]


def test_an_argument_hides_a_variable_only_with_buildkit() -> None:
    new, old = state(env=["PATH=/x", "A=env"]), state(classic=True, env=["PATH=/x", "A=env"])
    new.declare("A", "arg")
    old.declare("A", "arg")
    assert (new.env["A"], old.env["A"]) == ("arg", "env")
    assert new.declared() == [("A", "arg")]
    assert old.declared() == []
    assert new.run.env == ["PATH=/x", "A=env"]


def test_entrypoint_drops_the_bases_cmd() -> None:
    config = state(cmd=["sh"])
    assert config.set_entrypoint(Entrypoint(original="", location=HERE, cmd=("/x",))) == (
        'ENTRYPOINT ["/x"]'
    )
    assert config.run.cmd is None
    config = state(cmd=["sh"])
    config.set_cmd(Cmd(original="", location=HERE, cmd="run it"))
    config.set_entrypoint(Entrypoint(original="", location=HERE, cmd=("/x",)))
    assert config.run.cmd == ["/bin/sh", "-c", "run it"]
    assert config.run.args_escaped


def test_an_empty_volume_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="VOLUME specified can not be an empty string"):
        state().set_volumes(Volume(original="", location=HERE, paths=("",)))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (".", "/w/"),
        ("x", "/w/x"),
        ("x/", "/w/x/"),
        ("../y/.", "/y/"),
        ("/a//b", "/a/b"),
        ("//a", "/a"),
        ("/", "/"),
        ("../../..", "/"),
    ],
)
def test_destinations(written: str, expected: str) -> None:
    assert state(working_dir="/w").absolute(written) == expected


def test_working_directories_add_up() -> None:
    config = state()
    assert config.set_working_dir("a") == "/a"
    assert config.set_working_dir("../b/") == "/b"
    assert config.set_working_dir("//c") == "/c"


def test_ports() -> None:
    assert ports_of("80") == ["80/tcp"]
    assert ports_of("8000-8002/UDP") == ["8000/udp", "8001/udp", "8002/udp"]
    assert ports_of("127.0.0.1:8080:80") == ["80/tcp"]
    for bad, message in (("x", "invalid containerPort: x"), ("80/x", "invalid proto: x")):
        with pytest.raises(InvalidParameter, match=message):
            ports_of(bad)


def test_variables_keep_their_place() -> None:
    assert with_variable(["A=1", "B=2"], "A", "3") == ["A=3", "B=2"]
    assert with_variable(None, "A", "") == ["A="]
