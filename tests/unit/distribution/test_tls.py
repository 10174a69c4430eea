"""certs.d: which files count for a registry."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from pierhead.distribution.tls import HostFiles, client_context, host_files
from pierhead.errors import InvalidParameter
from support.certificates import Authority


def test_files_of_a_host(tmp_path: Path) -> None:
    ours, dockers = tmp_path / "ours", tmp_path / "docker"
    for base, names in (
        (ours, ("ca.crt",)),
        (dockers, ("x.crt", "client.cert", "client.key", "README", ".hidden")),
    ):
        (base / "a.example:5000").mkdir(parents=True)
        for name in names:
            (base / "a.example:5000" / name).touch()
    folder = dockers / "a.example:5000"
    assert host_files("a.example:5000", (ours, dockers)) == HostFiles(
        (ours / "a.example:5000/ca.crt", folder / "x.crt"),
        ((folder / "client.cert", folder / "client.key"),),
    )
    assert host_files("a.example", (ours, dockers)) == HostFiles()
    for odd in ("", "..", ".", "../docker/a.example:5000"):
        assert host_files(odd, (ours,)) == HostFiles()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("client.cert", "missing key client.key for client certificate client.cert"),
        ("client.key", "missing client certificate client.cert for key client.key"),
    ],
)
def test_half_a_pair(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / name).touch()
    with pytest.raises(InvalidParameter, match=words):
        host_files("a", (tmp_path,))


def test_contexts(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("client", client=True)
    context = client_context([authority.ca], [pair], verify=True)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert any("'ca'" in str(entry["subject"]) for entry in context.get_ca_certs())
    assert client_context([], [], verify=False).verify_mode == ssl.CERT_NONE


def test_files_without_certificates(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("nothing")
    with pytest.raises(InvalidParameter, match="no certificate authority"):
        client_context([tmp_path / "ca.crt"], [], verify=True)
    with pytest.raises(InvalidParameter, match="no client certificate"):
        client_context([], [(tmp_path / "ca.crt", tmp_path / "ca.crt")], verify=True)
    with pytest.raises(InvalidParameter, match="no client certificate"):
        client_context([], [(tmp_path / "gone", tmp_path / "gone")], verify=False)
