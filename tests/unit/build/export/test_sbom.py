from __future__ import annotations

from pierhead.build.export import sbom

BASH = {
    "type": "deb", "name": "bash", "version": "5.2-1+b1", "arch": "amd64", "source": "bash-src",
    "supplier": "A Person <a@example.org>", "path": "/var/lib/dpkg/status",
}  # fmt: skip
DEBIAN = {"ID": "debian", "VERSION_ID": "12"}


def test_purls() -> None:
    assert sbom.purl(BASH, DEBIAN) == (
        "pkg:deb/debian/bash@5.2-1%2Bb1?arch=amd64&distro=debian-12&upstream=bash-src"
    )
    scoped = {"type": "npm", "name": "@babel/core", "version": "7.0.0"}
    assert sbom.purl(scoped, {}) == "pkg:npm/%40babel/core@7.0.0"
    assert sbom.purl({"type": "pypi", "name": "My_Pkg", "version": "1"}, {}) == "pkg:pypi/my-pkg@1"


def test_the_document_names_what_it_describes() -> None:
    document = sbom.document(
        [BASH], DEBIAN, name="app", seed="sha256:" + "a" * 64, created_ns=1_500_000_000_500_000_000
    )
    assert document["spdxVersion"] == "SPDX-2.3"
    assert document["creationInfo"]["created"] == "2017-07-14T02:40:00Z"
    root, bash = document["packages"]
    assert bash["versionInfo"] == "5.2-1+b1"
    assert bash["supplier"] == "Person: A Person <a@example.org>"
    assert {each["relationshipType"] for each in document["relationships"]} == {
        "DESCRIBES",
        "CONTAINS",
    }
    ids = {document["SPDXID"], root["SPDXID"], bash["SPDXID"]}
    for relation in document["relationships"]:
        assert relation["spdxElementId"] in ids and relation["relatedSpdxElement"] in ids
    again = sbom.document(
        [BASH], DEBIAN, name="app", seed="sha256:" + "a" * 64, created_ns=1_500_000_000_500_000_000
    )
    assert again == document
