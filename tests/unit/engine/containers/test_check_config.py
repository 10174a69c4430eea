from __future__ import annotations

import pytest

from pierhead.engine.config import ContainerConfig, HealthConfig
from pierhead.engine.containers.check_config import check_config, check_port
from pierhead.errors import InvalidParameter


def refused(**fields: object) -> str:
    with pytest.raises(InvalidParameter) as caught:
        check_config(ContainerConfig(**fields))  # type: ignore[arg-type]
    return caught.value.message


def test_a_plain_one_passes() -> None:
    config = ContainerConfig(
        hostname="h" * 64,
        env=["A=1", "B", "C="],
        working_dir="/a/../b",
        exposed_ports={"80/tcp": {}, "8000-8010/udp": {}, "53": {}},
        healthcheck=HealthConfig(test=["CMD", "true"], interval=1_000_000),
        stop_signal="SIGQUIT",
    )
    check_config(config)
    assert config.working_dir == "/b"


def test_refusals() -> None:
    assert refused(hostname="h" * 65) == f'hostname "{"h" * 65}" is too long (maximum 64 bytes)'
    assert refused(hostname="a b") == "invalid hostname format: a b"
    assert refused(working_dir="x") == (
        "the working directory 'x' is invalid, it needs to be an absolute path"
    )
    assert refused(working_dir="/" + 300 * "a").startswith("invalid WorkingDir: file name too")
    assert refused(stop_signal="SIGNOPE") == "invalid signal: SIGNOPE"
    assert refused(env=[""]) == "invalid environment variable: "
    assert refused(env=["=x"]) == "invalid environment variable: =x"
    assert "NUL" in refused(env=["A=\0"])
    assert "NUL" in refused(cmd=["a\0b"])
    assert (
        refused(exposed_ports={"x/tcp": {}}) == "invalid JSON: invalid port 'x/tcp': invalid syntax"
    )


@pytest.mark.parametrize("field", ["interval", "timeout", "start_period", "start_interval"])
def test_health_durations(field: str) -> None:
    text = refused(healthcheck=HealthConfig(**{field: 999_999}))  # type: ignore[arg-type]
    name = "".join(word.capitalize() for word in field.split("_"))
    assert text == f"{name} in Healthcheck cannot be less than 1ms"


def test_health_retries_and_kind() -> None:
    assert refused(healthcheck=HealthConfig(retries=-1)) == (
        "Retries in Healthcheck cannot be negative"
    )
    assert "Unknown type 'EVAL'" in refused(healthcheck=HealthConfig(test=["EVAL", "x"]))


@pytest.mark.parametrize("port", ["", "0", "65536", "80/icmp", "9-8", "80-", "-80", "8 0"])
def test_bad_ports(port: str) -> None:
    with pytest.raises(InvalidParameter):
        check_port(port)
