from __future__ import annotations

from pierhead.cli.bake.hcl.nodes import HclError, Node, Source


def test_positions() -> None:
    source = Source("f", "ab\ncd\n")
    assert [source.position(at) for at in (0, 1, 3, 4)] == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_faults_say_where() -> None:
    source = Source("f", "ab\ncd\n")
    assert str(HclError(source, 3, 5, "S", "d")) == "f:2,1-3: S; d"
    error = Node(source, 1, 4).error("S", "d")
    assert str(error) == "f:1,2-2,2: S; d" and (error.line, error.last) == (1, 2)
