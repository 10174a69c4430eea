"""The names, texts and addresses of build checks, as Docker documents them. Data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pierhead.build.dockerfile.gotext import quote

_BASE = "https://docs.docker.com/go/dockerfile/rule/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    name: str
    description: str
    page: str = ""
    text: Callable[..., str]
    """The finding's sentence from its particulars."""
    experimental: bool = False

    @property
    def url(self) -> str:
        return f"{_BASE}{self.page}/" if self.page else ""


def _did_you_mean(text: str, mark: str, match: str) -> str:
    return f"{text} (did you mean {mark}{match}?)" if match else text


_RULES = (
    Rule(
        name="StageNameCasing",
        description="Stage names should be lowercase",
        page="stage-name-casing",
        text=lambda name: f"Stage name '{name}' should be lowercase",
    ),
    Rule(
        name="FromAsCasing",
        description="The 'as' keyword should match the case of the 'from' keyword",
        page="from-as-casing",
        text=lambda keyword, as_: f"'{as_}' and '{keyword}' keywords' casing do not match",
    ),
    Rule(
        name="NoEmptyContinuation",
        description="Empty continuation lines will become errors in a future release",
        page="no-empty-continuation",
        text=lambda: "Empty continuation line",
    ),
    Rule(
        name="ConsistentInstructionCasing",
        description=(
            "All commands within the Dockerfile should use the same casing (either upper or lower)"
        ),
        page="consistent-instruction-casing",
        text=lambda command, casing: (
            f"Command '{command}' should match the case of the command majority ({casing})"
        ),
    ),
    Rule(
        name="DuplicateStageName",
        description="Stage names should be unique",
        page="duplicate-stage-name",
        text=lambda name: f"Duplicate stage name {quote(name)}, stage names should be unique",
    ),
    Rule(
        name="ReservedStageName",
        description="Reserved words should not be used as stage names",
        page="reserved-stage-name",
        text=lambda name: (
            f"Stage name should not use the same name as reserved stage {quote(name)}"
        ),
    ),
    Rule(
        name="JSONArgsRecommended",
        description=(
            "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior"
            " related to OS signals"
        ),
        page="json-args-recommended",
        text=lambda name: (
            f"JSON arguments recommended for {name} to prevent unintended behavior related to"
            " OS signals"
        ),
    ),
    Rule(
        name="MaintainerDeprecated",
        description=(
            "The MAINTAINER instruction is deprecated, use a label instead to define an image"
            " author"
        ),
        page="maintainer-deprecated",
        text=lambda: "Maintainer instruction is deprecated in favor of using label",
    ),
    Rule(
        name="UndefinedArgInFrom",
        description="FROM command must use declared ARGs",
        page="undefined-arg-in-from",
        text=lambda name, match: _did_you_mean(
            f"FROM argument '{name}' is not declared", "", match
        ),
    ),
    Rule(
        name="WorkdirRelativePath",
        description=(
            "Relative workdir without an absolute workdir declared within the build can have"
            " unexpected results if the base image changes"
        ),
        page="workdir-relative-path",
        text=lambda path: (
            f"Relative workdir {quote(path)} can have unexpected results if the base image changes"
        ),
    ),
    Rule(
        name="UndefinedVar",
        description="Variables should be defined before their use",
        page="undefined-var",
        text=lambda name, match: _did_you_mean(
            f"Usage of undefined variable '${name}'", "$", match
        ),
    ),
    Rule(
        name="MultipleInstructionsDisallowed",
        description="Multiple instructions of the same type should not be used in the same stage",
        page="multiple-instructions-disallowed",
        text=lambda name: (
            f"Multiple {name} instructions should not be used in the same stage because only the"
            " last one will be used"
        ),
    ),
    Rule(
        name="LegacyKeyValueFormat",
        description="Legacy key/value format with whitespace separator should not be used",
        page="legacy-key-value-format",
        text=lambda name: (
            f'"{name} key=value" should be used instead of legacy "{name} key value" format'
        ),
    ),
    Rule(
        name="InvalidBaseImagePlatform",
        description="Base image platform does not match expected target platform",
        text=lambda image, expected, actual: (
            f"Base image {image} was pulled with platform {quote(actual)}, expected"
            f" {quote(expected)} for current build"
        ),
    ),
    Rule(
        name="RedundantTargetPlatform",
        description=(
            "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the"
            " default behavior"
        ),
        page="redundant-target-platform",
        text=lambda variable: (
            f"Setting platform to predefined {variable} in FROM is redundant as this is the"
            " default behavior"
        ),
    ),
    Rule(
        name="SecretsUsedInArgOrEnv",
        description="Sensitive data should not be used in the ARG or ENV commands",
        page="secrets-used-in-arg-or-env",
        text=lambda name, key: (
            f"Do not use ARG or ENV instructions for sensitive data ({name} {quote(key)})"
        ),
    ),
    Rule(
        name="InvalidDefaultArgInFrom",
        description="Default value for global ARG results in an empty or invalid base image name",
        page="invalid-default-arg-in-from",
        text=lambda base: (
            f"Default value for ARG {base} results in empty or invalid base image name"
        ),
    ),
    Rule(
        name="FromPlatformFlagConstDisallowed",
        description="FROM --platform flag should not use a constant value",
        page="from-platform-flag-const-disallowed",
        text=lambda platform: (
            f"FROM --platform flag should not use constant value {quote(platform)}"
        ),
    ),
    Rule(
        name="CopyIgnoredFile",
        description="Attempting to Copy file that is excluded by .dockerignore",
        page="copy-ignored-file",
        text=lambda command, path: (
            f"Attempting to {command} file {quote(path)} that is excluded by .dockerignore"
        ),
    ),
    Rule(
        name="InvalidDefinitionDescription",
        description=(
            "Comment for build stage or argument should follow the format: `# <arg/stage name>"
            " <description>`. If this is not intended to be a description comment, add an empty"
            " line or comment between the instruction and the comment."
        ),
        page="invalid-definition-description",
        text=lambda name, key: (
            f"Comment for {name} should follow the format: `# {key} <description>`"
        ),
        experimental=True,
    ),
    Rule(
        name="ExposeProtoCasing",
        description="Protocol in EXPOSE instruction should be lowercase",
        page="expose-proto-casing",
        text=lambda port: f"Defined protocol '{port}' in EXPOSE instruction should be lowercase",
    ),
    Rule(
        name="ExposeInvalidFormat",
        description=(
            "IP address and host-port mapping should not be used in EXPOSE instruction. This will"
            " become an error in a future release"
        ),
        page="expose-invalid-format",
        text=lambda port: (
            "EXPOSE instruction should not define an IP address or host-port mapping, found"
            f" '{port}'"
        ),
    ),
)
RULES = {rule.name: rule for rule in _RULES}
