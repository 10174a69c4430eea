"""Errors and their details at gRPC's edge; calls themselves: ``test_channel``."""

from __future__ import annotations

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from pierhead.build.buildkit import messages, wire
from pierhead.errors import (
    Forbidden,
    InvalidParameter,
    NotFound,
    PierError,
    TooLarge,
    Unauthorized,
    Unavailable,
)


def test_details_are_a_status() -> None:
    codec = wire.StatusDetails()
    encoded = codec.encode(Status.UNKNOWN, "m", [("url", b"value")])
    full = messages.get("google.rpc.Status").FromString(encoded)
    assert (full.code, full.message) == (2, "m")
    assert codec.decode(Status.UNKNOWN, "m", encoded) == [("url", b"value")]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Status.NOT_FOUND, NotFound),
        (Status.UNIMPLEMENTED, NotFound),
        (Status.PERMISSION_DENIED, Forbidden),
        (Status.UNAUTHENTICATED, Unauthorized),
        (Status.UNAVAILABLE, Unavailable),
        (Status.UNKNOWN, InvalidParameter),
    ],
)
def test_kinds(status: Status, kind: type[PierError]) -> None:
    assert type(wire.translate(GRPCError(status, "m"))) is kind


def test_ours_are_unknown_to_go() -> None:
    error = wire.refusal(Unavailable("m"), [("u", b"v")])
    assert (error.status, error.message, error.details) == (Status.UNKNOWN, "m", [("u", b"v")])


def test_streams_that_are_cut() -> None:
    assert type(wire.translate(StreamTerminatedError("x"))) is Unavailable


def test_the_size_of_messages() -> None:
    wire.check(wire.MESSAGE_LIMIT_BYTES)
    with pytest.raises(TooLarge):
        wire.check(wire.MESSAGE_LIMIT_BYTES + 1)
