"""What build checks find, and which of them somebody wants to hear of. No IO."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.gotext import parse_bool, quote
from pierhead.build.dockerfile.model import Dockerfile, Range
from pierhead.build.dockerfile.rules import RULES

OPTION = "BUILDKIT_DOCKERFILE_CHECK"
"""The build arg that takes the place of the ``# check=`` directive."""

_COMMENT = re.compile(r"check\s*=\s*(\S+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Fields as ``build.model.Warned`` wants them."""

    rule: str
    text: str
    description: str
    url: str
    location: Range | None
    level: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckConfig:
    """``# check=skip=A,B;error=true;experimental=all`` or ``BUILDKIT_DOCKERFILE_CHECK``."""

    skip: frozenset[str] = frozenset()
    skip_all: bool = False
    experimental: frozenset[str] = frozenset()
    experimental_all: bool = False
    error: bool = False

    @classmethod
    def parse(cls, text: str) -> CheckConfig:
        """``ValueError`` with BuildKit's words."""
        names: dict[str, frozenset[str]] = {"skip": frozenset(), "experimental": frozenset()}
        error = False
        for part in text.strip().split(";", 2) if text.strip() else ():
            key, equals, value = part.partition("=")
            key, value = key.strip(), value.strip()
            if not equals:
                raise ValueError(f"invalid check option {quote(part)}")
            if key in names:
                names[key] = frozenset(name.strip() for name in value.split(","))
            elif key == "error":
                flag = parse_bool(value)
                if flag is None:
                    raise ValueError(
                        f"failed to parse check option {quote(part)}: strconv.ParseBool:"
                        f" parsing {quote(value)}: invalid syntax"
                    )
                error = flag
            else:
                raise ValueError(f"invalid check option {quote(key)}")
        everything = frozenset({"all"})
        return cls(
            skip=names["skip"],
            skip_all=names["skip"] == everything,
            experimental=names["experimental"],
            experimental_all=names["experimental"] == everything,
            error=error,
        )

    def with_comments(self, comments: Iterable[str]) -> CheckConfig:
        """With what a comment above an instruction says."""
        for comment in comments:
            match = _COMMENT.match(comment)
            if match is None:
                continue
            try:
                other = CheckConfig.parse(match[1])
            except ValueError:
                return self
            return CheckConfig(
                skip=self.skip | other.skip,
                skip_all=self.skip_all or other.skip_all,
                experimental=self.experimental | other.experimental,
                experimental_all=self.experimental_all or other.experimental_all,
                error=self.error,
            )
        return self

    def wants(self, rule: str) -> bool:
        if RULES[rule].experimental:
            return self.experimental_all or rule in self.experimental
        return not self.skip_all and rule not in self.skip


def config_of(dockerfile: Dockerfile, build_args: Mapping[str, str] | None = None) -> CheckConfig:
    """From the build arg, else from the directive. ``BuildError`` if it makes no sense."""
    option = (build_args or {}).get(OPTION)
    location = None
    if option is None:
        option = dockerfile.directives.get("check", "").partition(" ")[0]
        location = dockerfile.directive_locations.get("check")
    try:
        return CheckConfig.parse(option)
    except ValueError as error:
        message = f"failed to parse check options: {error}"
        raise BuildError(message, location, dockerfile.source) from error


def finding(rule: str, location: Range | None, *particulars: str) -> Finding:
    """A finding of the rule of that name (``KeyError``), worded with its particulars."""
    known = RULES[rule]
    return Finding(
        rule=rule,
        text=known.text(*particulars),
        description=known.description,
        url=known.url,
        location=location,
    )
