"""IP addresses and networks as numbers, for the checks that ``network create`` does."""

from __future__ import annotations


def parse_ip(text: str) -> tuple[int, int] | None:
    """The address as (number, bits), None if the text is none."""
    import _socket

    family, bits = (_socket.AF_INET6, 128) if ":" in text else (_socket.AF_INET, 32)
    try:
        return int.from_bytes(_socket.inet_pton(family, text), "big"), bits
    except (OSError, ValueError):
        return None


def parse_cidr(text: str) -> tuple[int, int, int]:
    """``address/prefix`` as (number, bits, prefix). Raises ValueError with Go's text."""
    address, slash, prefix = text.partition("/")
    parsed = parse_ip(address)
    if parsed is None or not slash or not prefix.isdigit() or int(prefix) > parsed[1]:
        raise ValueError(f"invalid CIDR address: {text}")
    return parsed[0], parsed[1], int(prefix)


def contains(subnet: str, address: str) -> bool:
    """Whether the subnet holds an address or the address of another subnet.

    Raises ValueError.
    """
    try:
        base, bits, prefix = parse_cidr(subnet)
    except ValueError as error:
        raise ValueError(f"invalid subnet: {error}") from error
    if "/" in address:
        number, other_bits, _ = parse_cidr(address)
    else:
        parsed = parse_ip(address)
        if parsed is None:
            return False
        number, other_bits = parsed
    return bits == other_bits and base >> (bits - prefix) == number >> (bits - prefix)


def check_ip(text: str) -> str:
    """A flag's converter: an IP address. Raises ValueError."""
    if text and parse_ip(text) is None:
        raise ValueError(f'failed to parse IP: "{text}"')
    return text
