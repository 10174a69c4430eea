"""Only what is needed of a context is asked for."""

from __future__ import annotations

from .conftest import Make


def test_copies_and_mounts_count(plan: Make) -> None:
    found = plan(
        "FROM busybox AS unneeded\nCOPY never /\n"
        "FROM busybox\nCOPY a* ./b/ /\nRUN --mount=target=/m,source=src/x y\n"
        "COPY --from=other z /\n",
        named_contexts=frozenset({"other"}),
    )
    assert found.context_paths == {"": ["a*", "b", "src/x"], "other": ["z"]}


def test_the_root_is_everything(plan: Make) -> None:
    assert plan("FROM busybox\nCOPY a /\nCOPY . /\n").context_paths == {"": []}
    assert plan("FROM busybox\nRUN --mount=target=/m y\n").context_paths == {"": []}


def test_nothing_is_nothing(plan: Make) -> None:
    assert plan("FROM busybox\nRUN x\nCOPY <<A /b\nA\n").context_paths == {}
