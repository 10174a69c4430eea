from __future__ import annotations

import pytest

from pierhead.engine.config import ContainerConfig, HealthConfig
from pierhead.engine.containers.merge import (
    clean_working_dir,
    command_of,
    merge_config,
    merge_env,
    replace_env,
)
from pierhead.errors import InvalidParameter

IMAGE = ContainerConfig(
    user="www",
    env=["PATH=/bin", "A=image"],
    entrypoint=["/entry"],
    cmd=["serve"],
    labels={"a": "image", "b": "image"},
    exposed_ports={"80/tcp": {}},
    volumes={"/data": {}},
    working_dir="/srv",
    stop_signal="SIGQUIT",
    healthcheck=HealthConfig(test=["CMD", "true"], interval=5_000_000, retries=4),
)


def merged(**fields: object) -> ContainerConfig:
    return merge_config(ContainerConfig(**fields), IMAGE)  # type: ignore[arg-type]


def test_everything_is_inherited() -> None:
    found = merged()
    assert command_of(found) == ("/entry", ["serve"])
    assert found.user == "www" and found.working_dir == "/srv" and found.stop_signal == "SIGQUIT"
    assert found.exposed_ports == {"80/tcp": {}} and found.volumes == {"/data": {}}


def test_a_command_keeps_the_entrypoint() -> None:
    assert command_of(merged(cmd=["x", "y"])) == ("/entry", ["x", "y"])


def test_an_entrypoint_drops_the_command() -> None:
    assert command_of(merged(entrypoint=["/mine"])) == ("/mine", [])


def test_an_empty_entrypoint_word_means_none() -> None:
    assert command_of(merged(entrypoint=[""], cmd=["ls"])) == ("ls", [])
    with pytest.raises(InvalidParameter, match="no command specified"):
        merged(entrypoint=[""])


def test_an_empty_entrypoint_list_drops_only_the_entrypoint() -> None:
    assert command_of(merged(entrypoint=[])) == ("serve", [])


def test_nothing_to_run() -> None:
    with pytest.raises(InvalidParameter, match="no command specified"):
        merge_config(ContainerConfig(), ContainerConfig())


def test_environment_of_the_user_comes_first() -> None:
    assert merge_env(["A=mine", "B=1"], ["PATH=/bin", "A=image"]) == ["A=mine", "B=1", "PATH=/bin"]
    assert merge_env(None, ["A=1"]) == ["A=1"]
    assert merge_env(["A=1"], None) == ["A=1"]


def test_labels_of_the_user_win() -> None:
    assert merged(labels={"a": "mine"}).labels == {"a": "mine", "b": "image"}


def test_health_check_is_filled_field_by_field() -> None:
    found = merged(healthcheck=HealthConfig(retries=9)).healthcheck
    assert found is not None
    assert (found.test, found.interval, found.retries) == (["CMD", "true"], 5_000_000, 9)


def test_inputs_are_left_alone() -> None:
    before = ContainerConfig(cmd=["x"])
    merge_config(before, IMAGE)
    assert before.env is None and before.entrypoint is None


@pytest.mark.parametrize(
    ("given", "clean"), [("/a/../b", "/b"), ("//x", "/x"), ("/", "/"), ("/a/./b/", "/a/b")]
)
def test_working_dir_is_normalised(given: str, clean: str) -> None:
    assert clean_working_dir(given) == clean


def test_relative_working_dir() -> None:
    with pytest.raises(InvalidParameter, match="needs to be an absolute path"):
        clean_working_dir("srv")


def test_replace_env() -> None:
    assert replace_env(["A=1", "B=2"], ["B=3", "C=4", "A"]) == ["B=3", "C=4"]
