"""Git URLs as Docker takes them: ``https://host/x.git#ref:dir``, queries, scp's form. No IO.

Source: Docker's build contexts reference ("Git repositories", "URL queries"), BuildKit's
``dfgitutil``.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

from pierhead.errors import InvalidParameter

PROTOCOLS: Final = ("http", "https", "ssh", "git")
_SCP: Final = re.compile(r"(?:[a-zA-Z0-9-_]+@)[a-zA-Z0-9-.]+:(?!//).+\Z", re.DOTALL)
_SHA: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_TRUE: Final = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class GitUrl:
    remote: str
    """What git is given, without fragment and query."""
    ref: str = ""
    """Branch, tag, full ref or commit; "" is the default branch."""
    subdir: str = ""
    checksum: str = ""
    keep_git_dir: bool | None = None
    submodules: bool = True

    @property
    def host(self) -> str:
        if "://" in self.remote:
            return urlsplit(self.remote).netloc.rpartition("@")[2]
        return self.remote.partition(":")[0].rpartition("@")[2]

    @property
    def is_ssh(self) -> bool:
        return "://" not in self.remote or self.remote.startswith("ssh://")


def shown(url: str) -> str:
    """A URL without its password, and without a user where git needs none."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    user, mark, host = parts.netloc.rpartition("@")
    keep = parts.scheme == "ssh" and ":" not in user
    return urlunsplit(parts._replace(netloc=f"{user}{mark}{host}" if keep else host))


def is_git(url: str) -> bool:
    """Whether Docker takes it for a repository (``github.com/…`` only as a build context)."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return bool(_SCP.match(url))
    if scheme.lower() in ("http", "https"):
        return rest.partition("#")[0].partition("?")[0].endswith(".git")
    return scheme.lower() in ("ssh", "git")


def is_commit(text: str) -> bool:
    return bool(_SHA.match(text))


def parse(url: str, checksum: str = "") -> GitUrl:
    """Raises ``InvalidParameter`` for what is no git URL, and for queries nobody knows.

    ``checksum`` is ADD's: where the URL has one as well, it must be the same.
    """
    if url.startswith("github.com/"):
        url = "https://" + url
    if "://" in url:
        parts = urlsplit(url)
        if parts.scheme.lower() not in PROTOCOLS:
            raise InvalidParameter(f"invalid protocol: {parts.scheme}")
        remote = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        found = _fragment(GitUrl(remote=remote), parts.fragment)
        found = _query(found, parts.query)
    elif _SCP.match(url):
        remote, _, fragment = url.partition("#")
        remote, _, query = remote.partition("?")
        found = _query(_fragment(GitUrl(remote=remote), fragment), query)
    else:
        raise InvalidParameter(f"not a git URL: {url}")
    if checksum:
        if found.checksum and checksum != found.checksum:
            raise InvalidParameter(f'checksum mismatch "{checksum}" != "{found.checksum}"')
        found = replace(found, checksum=checksum)
    if found.ref.startswith("-") or any(ord(c) < 33 for c in found.ref):
        raise InvalidParameter(f"invalid git ref: {found.ref!r}")
    if found.checksum and not re.fullmatch(r"[0-9a-fA-F]+", found.checksum):
        raise InvalidParameter(
            f"invalid checksum {found.checksum} for Git URL, expected hex commit hash"
        )
    return found


def _fragment(found: GitUrl, fragment: str) -> GitUrl:
    ref, _, subdir = fragment.partition(":")
    return replace(found, ref=ref, subdir=_inside(subdir))


def _inside(subdir: str) -> str:
    return posixpath.normpath("/" + subdir).strip("/")


def _query(found: GitUrl, query: str) -> GitUrl:
    tag = branch = ""
    for key, values in parse_qs(query, keep_blank_values=True).items():
        if len(values) > 1:
            raise InvalidParameter(f'query "{key}" has multiple values')
        value = values[0]
        if key in ("keep-git-dir", "submodules"):
            flag = _TRUE.get(value.lower(), None) if value else True
            if flag is None:
                raise InvalidParameter(f'invalid {key} value: "{value}"')
            if key == "submodules":
                found = replace(found, submodules=flag)
            else:
                found = replace(found, keep_git_dir=flag)
            continue
        if not value:
            raise InvalidParameter(f'query "{key}" has no value')
        if key == "ref":
            found = replace(found, ref=_once("ref", found.ref, value))
        elif key == "subdir":
            found = replace(found, subdir=_once("subdir", found.subdir, _inside(value)))
        elif key in ("checksum", "commit"):
            found = replace(found, checksum=value)
        elif key == "tag":
            tag = value if value.startswith("refs/tags/") else f"refs/tags/{value}"
        elif key == "branch":
            branch = value if value.startswith("refs/heads/") else f"refs/heads/{value}"
        elif key == "mtime":
            if value not in ("checkout", "commit"):
                raise InvalidParameter(
                    f'invalid mtime value: "{value}" (must be "checkout" or "commit")'
                )
        else:
            raise InvalidParameter(f'unexpected query "{key}"')
    if tag and branch:
        raise InvalidParameter("branch conflicts with tag")
    if tag or branch:
        found = replace(found, ref=_once("ref", found.ref, tag or branch))
    return found


def _once(name: str, before: str, value: str) -> str:
    if before and before != value:
        raise InvalidParameter(f'{name} conflicts: "{before}" vs "{value}"')
    return value


def pick(listing: str, ref: str) -> tuple[str, str, str]:
    """(full ref, object id, commit id if that is a tag's) out of ``git ls-remote``'s output.

    Branches before tags, as git-checkout prefers. ``NotFound`` is the caller's: ``("", "", "")``.
    """
    known = {}
    for line in listing.splitlines():
        sha, _, name = line.partition("\t")
        if is_commit(sha):
            known[name] = sha
    if ref == "HEAD":
        return ("HEAD", known["HEAD"], "") if "HEAD" in known else ("", "", "")
    short = ref.removeprefix("refs/")
    for name in (
        f"refs/{short}",
        f"refs/heads/{ref.removeprefix('refs/heads/')}",
        f"refs/tags/{ref.removeprefix('refs/tags/')}",
    ):
        if name in known:
            return name, known[name], known.get(f"{name}^{{}}", "")
    return "", "", ""
