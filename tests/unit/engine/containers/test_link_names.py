from __future__ import annotations

import pytest

from pierhead.engine.config import HostConfig
from pierhead.engine.containers.link_names import are_legacy, link_variables, split


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("db:data", ("db", "data")),
        ("db", ("db", "db")),
        ("/db:/app/data", ("db", "data")),
        ("/db", ("db", "db")),
    ],
)
def test_split(link: str, expected: tuple[str, str]) -> None:
    assert split(link) == expected


def test_links_of_the_default_bridge_only() -> None:
    assert are_legacy(HostConfig(links=["a"]))
    assert are_legacy(HostConfig(links=["a"], network_mode="default"))
    assert not are_legacy(HostConfig(links=["a"], network_mode="web"))
    assert not are_legacy(HostConfig(network_mode="bridge"))


def test_variables() -> None:
    """The example of Docker's own unit test for links."""
    found = link_variables(
        "/db/docker", "172.0.17.2", ["PASSWORD=gordon", "HOME=/", "X"], ["6379/tcp"]
    )
    assert found == [
        "DOCKER_PORT=tcp://172.0.17.2:6379",
        "DOCKER_PORT_6379_TCP=tcp://172.0.17.2:6379",
        "DOCKER_PORT_6379_TCP_ADDR=172.0.17.2",
        "DOCKER_PORT_6379_TCP_PORT=6379",
        "DOCKER_PORT_6379_TCP_PROTO=tcp",
        "DOCKER_NAME=/db/docker",
        "DOCKER_ENV_PASSWORD=gordon",
    ]


def test_ports_in_order_and_ranges() -> None:
    found = link_variables("/a/my-db", "10.0.0.1", (), ["53/udp", "8081/tcp", "8080", "90/tcp"])
    assert found[0] == "MY_DB_PORT=tcp://10.0.0.1:90"
    assert "MY_DB_PORT_53_UDP=udp://10.0.0.1:53" in found
    assert "MY_DB_PORT_8080_TCP_START=tcp://10.0.0.1:8080" in found
    assert "MY_DB_PORT_8080_TCP_PORT_END=8081" in found
    assert not [entry for entry in found if "_90_TCP_END" in entry]


def test_nothing_exposed() -> None:
    assert link_variables("/a/b", "10.0.0.1", (), ()) == ["B_NAME=/a/b"]
