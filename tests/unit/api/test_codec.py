"""Leniency where Go is lenient, errors that name the field where it isn't."""

from __future__ import annotations

import pytest

from pierhead.api.codec import decode, encode, parse
from pierhead.engine.config import ContainerConfig, HostConfig, NetworkingConfig
from pierhead.errors import InvalidParameter


def test_null_is_the_zero_value() -> None:
    config = decode(b'{"Hostname":null,"Tty":null,"Env":null,"Labels":null}', ContainerConfig)
    assert config == ContainerConfig()


def test_names_in_any_case() -> None:
    config = decode(b'{"hostname":"a","TTY":true,"workingdir":"/"}', ContainerConfig)
    assert (config.hostname, config.tty, config.working_dir) == ("a", True, "/")


def test_unknown_fields_are_ignored() -> None:
    assert decode(b'{"KernelMemory":5,"Nonsense":{"a":[1]}}', HostConfig) == HostConfig()


def test_null_elements_are_zero_values() -> None:
    config = decode(b'{"Env":["a",null],"ExposedPorts":{"80/tcp":null}}', ContainerConfig)
    assert config.env == ["a", ""]
    assert config.exposed_ports == {"80/tcp": {}}
    host = decode(b'{"PortBindings":{"80/tcp":null,"81/tcp":[null]}}', HostConfig)
    assert host.port_bindings is not None
    assert host.port_bindings["80/tcp"] is None
    assert host.port_bindings["81/tcp"] is not None
    networking = decode(b'{"EndpointsConfig":{"n":null}}', NetworkingConfig)
    assert networking.endpoints_config is not None and "n" in networking.endpoints_config


@pytest.mark.parametrize("field", ["Cmd", "Entrypoint", "Shell"])
def test_a_string_stands_for_a_list_of_one(field: str) -> None:
    config = decode(f'{{"{field}":"ls -l"}}'.encode(), ContainerConfig)
    assert getattr(config, field.lower()) == ["ls -l"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"Memory":"x"}', "Memory: expected an integer, got a string"),
        (b'{"Memory":1.5}', "Memory: expected an integer"),
        (b'{"memory":{}}', "Memory: expected an integer, got an object"),
        (b'{"PortBindings":{"80/tcp":[{"HostPort":80}]}}', "HostPort: expected a string"),
        (b'{"RestartPolicy":{"MaximumRetryCount":"3"}}', "RestartPolicy.MaximumRetryCount"),
        (b'{"Binds":"x"}', "Binds: expected an array, got a string"),
        (b'{"Init":"x"}', "Init: expected a boolean, got a string"),
        (b'{"Memory":', "invalid JSON"),
        (b"[]", "expected an object, got an array"),
        (b'"x"', "expected an object, got a string"),
        (b"{} {}", "invalid JSON"),
        (b"\xff\xfe", "invalid JSON"),
        (b" ", "got EOF"),
        (b'{"Binds":' + b"[" * 100_000, "invalid JSON"),
    ],
)
def test_errors_name_the_field(body: bytes, words: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid JSON") as caught:
        decode(body, HostConfig)
    assert words in caught.value.message


def test_empty_and_null_bodies() -> None:
    assert parse(b"") == {} == parse(b"null")


def test_encode_ends_the_line() -> None:
    assert encode({"a": "<é>"}) == '{"a":"<é>"}\n'.encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{invalid", "invalid character 'i' looking for beginning of object key string"),
        (b"{} more", "unexpected content after JSON"),
        (b'{"a": x}', "invalid character 'x' looking for beginning of value"),
        (b'{"a": "\xc3\xa9"} \xc3\xa9', "unexpected content after JSON"),
    ],
)
def test_syntax_errors_in_the_words_that_clients_compare(body: bytes, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        parse(body)
