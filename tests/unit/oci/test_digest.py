from __future__ import annotations

import hashlib

import pytest

from pierhead.errors import InvalidParameter
from pierhead.oci.digest import DiffId, chain_ids, hex_of, is_digest, is_hex, parse_digest, sha256

GOOD = "sha256:" + "0123456789abcdef" * 4


def test_a_good_digest_passes() -> None:
    assert parse_digest(GOOD) == GOOD
    assert is_digest(GOOD)
    assert hex_of(GOOD) == GOOD[7:]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid checksum digest format"),
        ("sha256", "invalid checksum digest format"),
        ("sha256:", "invalid checksum digest format"),
        ("sha256:abc", "invalid checksum digest length"),
        ("sha256:" + "G" * 64, "invalid checksum digest format"),
        (GOOD.upper().replace("SHA256", "sha256"), "invalid checksum digest format"),
        ("md5:" + "0" * 32, "unsupported digest algorithm"),
        ("sha512:" + "0" * 128, "digest algorithm sha512 is not supported: use sha256"),
    ],
)
def test_a_bad_digest_says_why(text: str, message: str) -> None:
    assert not is_digest(text)
    with pytest.raises(InvalidParameter) as error:
        parse_digest(text)
    assert error.value.message == message


def test_hex() -> None:
    assert is_hex("0af")
    assert not is_hex("")
    assert not is_hex("0AF")


def test_chain_ids_follow_the_specification() -> None:
    first, second, third = (DiffId(sha256(data)) for data in (b"a", b"b", b"c"))
    one, two, three = chain_ids([first, second, third])
    assert one == first
    assert two == "sha256:" + hashlib.sha256(f"{first} {second}".encode()).hexdigest()
    assert three == "sha256:" + hashlib.sha256(f"{two} {third}".encode()).hexdigest()
    assert chain_ids([]) == []
