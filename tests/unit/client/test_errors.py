from __future__ import annotations

from pierhead.client.errors import ApiError, ClientError, ConnectFailed, ProtocolError


def test_an_answer_of_the_daemon_says_so() -> None:
    error = ApiError(404, "No such container: x")
    assert str(error) == "Error response from daemon: No such container: x"
    assert (error.status, error.message) == (404, "No such container: x")


def test_one_root() -> None:
    assert {
        type(error).__base__ for error in (ApiError(1, ""), ConnectFailed(), ProtocolError())
    } == {ClientError}
