"""What clients send in X-Registry-Auth and X-Registry-Config."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pierhead.distribution.credentials import Credentials, decode, decode_config, of_document
from pierhead.errors import InvalidParameter


def packed(value: Any, *, url: bool = True, pad: bool = True) -> str:
    raw = json.dumps(value).encode()
    text = (base64.urlsafe_b64encode if url else base64.b64encode)(raw).decode()
    return text if pad else text.rstrip("=")


FULL = {
    "username": "anna",
    "password": "pä?>~sword",
    "identitytoken": "refresh",
    "registrytoken": "bearer",
    "serveraddress": "registry.example:5000",
}


@pytest.mark.parametrize("url", [True, False])
@pytest.mark.parametrize("pad", [True, False])
def test_all_fields_in_every_alphabet(url: bool, pad: bool) -> None:
    assert decode(packed(FULL, url=url, pad=pad)) == Credentials(
        "anna", "pä?>~sword", "refresh", "bearer", "registry.example:5000"
    )


@pytest.mark.parametrize(
    "header", [None, "", "null", packed({}), packed(None), packed({"email": "x"})]
)
def test_nothing(header: str | None) -> None:
    assert decode(header) is None


@pytest.mark.parametrize("header", ["?!", "not base64", "YQ=Q", "x" * (2 << 20)])
def test_not_base64(header: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid X-Registry-Auth header"):
        decode(header)


@pytest.mark.parametrize("raw", [b"{", b"[]", b'"x"', b"[" * 100_000, b"\xff"])
def test_not_an_object(raw: bytes) -> None:
    with pytest.raises(InvalidParameter, match="invalid X-Registry-Auth header"):
        decode(base64.urlsafe_b64encode(raw).decode())


def test_auth_counts_without_a_user_name() -> None:
    auth = base64.b64encode(b"anna:se:cret").decode()
    assert of_document({"auth": auth}) == Credentials("anna", "se:cret")
    assert of_document({"auth": auth, "username": "otto", "password": "x"}).username == "otto"
    with pytest.raises(InvalidParameter):
        of_document({"auth": "\x00"})


def test_keys_in_any_case_and_values_of_other_types() -> None:
    assert (
        of_document({"Username": "anna", "Password": 5, "IdentityToken": None}).username == "anna"
    )


def test_config() -> None:
    header = packed({"a.example": {"username": "x", "password": "y"}, "b.example": {}, "c": 1})
    assert decode_config(header) == {"a.example": Credentials("x", "y")}
    assert decode_config(None) == {}
    with pytest.raises(InvalidParameter, match="X-Registry-Config"):
        decode_config("%")


def test_secrets_do_not_show() -> None:
    shown = repr(decode(packed(FULL)))
    assert "anna" in shown
    assert not {"sword", "refresh", "bearer"} & set(shown.replace("'", " ").split())
    assert "sword" not in shown
