from __future__ import annotations

import json

import pytest

from pierhead.errors import InvalidParameter
from pierhead.oci.image_config import History, ImageConfig, RootFs, RunConfig


def test_a_config_of_docker_is_read() -> None:
    config = ImageConfig.decode(
        json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {
                    "Hostname": "",
                    "AttachStdin": False,
                    "ExposedPorts": {"80/tcp": {}},
                    "Env": ["PATH=/bin"],
                    "Cmd": None,
                    "Entrypoint": ["/e"],
                    "OnBuild": ["RUN x"],
                    "Healthcheck": {"Test": ["CMD", "x"], "Interval": 1000},
                    "Volumes": None,
                    "Labels": {"a": "b"},
                    "Unknown": 1,
                },
                "rootfs": {"type": "layers", "diff_ids": ["sha256:1"]},
                "history": [{"created": "2020-01-01T00:00:00Z", "empty_layer": True}],
                "moby.buildkit.cache.v0": [],
            }
        ).encode()
    )
    assert config.config.exposed_ports == {"80/tcp": {}}
    assert config.config.cmd is None
    assert config.config.on_build == ["RUN x"]
    assert config.config.healthcheck is not None and config.config.healthcheck.interval == 1000
    assert config.rootfs.diff_ids == ["sha256:1"]
    assert config.history[0].empty_layer


def test_null_is_nothing_anywhere() -> None:
    config = ImageConfig.decode(b'{"os": null, "config": null, "rootfs": null, "history": null}')
    assert config == ImageConfig()


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"nonsense", b'{"os": 1}', b'{"config": {"Env": "x"}}', b"[" * 100_000,
     b'{"rootfs": {"diff_ids": [1]}}'],
)  # fmt: skip
def test_what_is_wrong_is_named(data: bytes) -> None:
    with pytest.raises(InvalidParameter, match=r"^invalid image config"):
        ImageConfig.decode(data)


def test_encoding_is_canonical_and_complete() -> None:
    config = ImageConfig(
        architecture="amd64",
        os="linux",
        config=RunConfig(cmd=["sh"]),
        rootfs=RootFs(),
        history=[History(created_by="x")],
    )
    encoded = config.encode()
    assert encoded == (
        b'{"architecture":"amd64","config":{"Cmd":["sh"]},"history":[{"created_by":"x"}],'
        b'"os":"linux","rootfs":{"diff_ids":[],"type":"layers"}}'
    )
    assert ImageConfig.decode(encoded) == config


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    config = ImageConfig(config=RunConfig(env=["A=\udce9"]))
    assert ImageConfig.decode(config.encode()).config.env == ["A=�"]
