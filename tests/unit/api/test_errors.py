"""Kinds and statuses."""

from __future__ import annotations

from pierhead import errors
from pierhead.api.errors import STATUS, error_response, status_of


def test_every_kind_has_a_status() -> None:
    kinds = {
        cls.kind
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, errors.PierError)
    }
    assert kinds == set(STATUS)
    assert status_of(errors.NotFound("x")) == 404


def test_body_is_dockers() -> None:
    response = error_response(400, 'a "b"')
    assert response.body == b'{"message":"a \\"b\\""}\n'
    assert response.content_type == "application/json"
    assert error_response(304, "x").body is None
