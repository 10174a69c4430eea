from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pierhead.cli.build.answers import Answers, Refused
from pierhead.cli.build.receive import Stdout
from pierhead.client import build_wire as wire


class Cli:
    config: dict[str, Any] = {
        "auths": {"reg.example": {"username": "u", "password": "p"}, "tok": {"identitytoken": "t"}}
    }


def answers(tmp_path: Path, **given: Any) -> Answers:
    fields: dict[str, Any] = {
        "directories": {"context": str(tmp_path)},
        "secrets": {},
        "agents": {},
        "outputs": {},
    }
    return Answers(Cli(), **(fields | given))  # type: ignore[arg-type]


def answer(to: Answers, channel: int = 1, **question: Any) -> bytes:
    return b"".join(to.answer(channel, question))


def test_a_walk_and_its_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello")
    (tmp_path / "b").write_bytes(b"no")
    of = answers(tmp_path)
    found = wire.unpack_entries(answer(of, 7, op="local", name="context", exclude=["b"]))
    assert [entry[0] for entry in found] == [b"a"]
    assert answer(of, 8, op="content", of=7, path="a") == b"hello"
    of.close(7)
    with pytest.raises(Refused, match="listing is closed"):
        answer(of, 9, op="content", of=7, path="a")


def test_no_content_but_what_was_listed(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "ignored").touch()
    (tmp_path / "out").symlink_to("/etc")
    of = answers(tmp_path)
    answer(of, 7, op="local", name="context", exclude=["ignored"])
    for path in ("../x", "/etc/passwd", "a/../../x", "ignored", "out/passwd", "out"):
        with pytest.raises(Refused, match="is no file of the listing"):
            answer(of, 8, op="content", of=7, path=path)


def test_layouts_are_known_without_a_list(tmp_path: Path) -> None:
    blob = "blobs/sha256/" + "a" * 64
    for name in ("index.json", blob, "other"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    of = answers(tmp_path, directories={"oci-layout:/x": str(tmp_path)})
    of.answer(7, {"op": "local", "name": "oci-layout:/x"})
    for name in ("index.json", blob):
        assert answer(of, 8, op="content", of=7, path=name).decode() == name
    for name in ("other", "blobs/sha256/../../other"):
        with pytest.raises(Refused):
            answer(of, 8, op="content", of=7, path=name)


def test_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import posix

    monkeypatch.setitem(posix.environ, b"PIER_TEST", b"\xffv")  # type: ignore[arg-type]
    (tmp_path / "s").write_bytes(b"file")
    (tmp_path / "big").write_bytes(b"x" * (500 * 1024 + 1))
    of = answers(
        tmp_path,
        secrets={
            "env": {"id": "env", "env": "PIER_TEST"},
            "file": {"id": "file", "src": str(tmp_path / "s")},
            "gone": {"id": "gone", "env": "PIER_TEST_NOT_THERE"},
            "big": {"id": "big", "src": str(tmp_path / "big")},
        },
    )
    assert answer(of, op="secret", id="env") == b"\xffv"
    assert answer(of, op="secret", id="file") == b"file"
    for name, kind in (("gone", "not_found"), ("other", "not_found"), ("big", "invalid")):
        with pytest.raises(Refused) as refused:
            answer(of, op="secret", id=name)
        assert refused.value.kind == kind


def test_credentials(tmp_path: Path) -> None:
    of = answers(tmp_path)
    assert wire.decode(answer(of, op="credentials", host="reg.example")) == ["u", "p"]
    assert wire.decode(answer(of, op="credentials", host="tok")) == ["", "t"]
    assert wire.decode(answer(of, op="credentials", host="other")) is None


def test_agents_archives_and_outputs(tmp_path: Path) -> None:
    of = answers(
        tmp_path,
        agents={"default": "/s"},
        outputs={0: Stdout},
        tar=lambda: iter((b"a", b"b")),
    )
    assert answer(of, op="ssh", id="") == b"" and of.agent("default") == "/s"
    assert answer(of, op="context") == b"ab"
    assert isinstance(of.receiver(0), Stdout)
    for question in ({"op": "ssh", "id": "x"}, {"op": "nonsense"}, {"op": "local", "name": "x"}):
        with pytest.raises(Refused):
            answer(of, **question)
    with pytest.raises(Refused):
        of.receiver(1)
    with pytest.raises(Refused):
        answer(answers(tmp_path), op="context")
