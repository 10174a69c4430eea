"""SLSA provenance of an image, v1 and v0.2, in BuildKit's words. No IO.

Sources: SLSA specification (provenance v0.2 and v1), BuildKit's docs/attestations. Steps stand
where BuildKit has its LLB: ``buildConfig.llbDefinition`` entries carry the instruction instead
of an operation.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any, Final

from pierhead.build.export.model import Assembled, Material, Solved
from pierhead.engine.images.clock import format_rfc3339
from pierhead.errors import InvalidParameter
from pierhead.oci.digest import is_digest

STATEMENT_1: Final = "https://in-toto.io/Statement/v1"
STATEMENT_01: Final = "https://in-toto.io/Statement/v0.1"
PREDICATE_1: Final = "https://slsa.dev/provenance/v1"
PREDICATE_02: Final = "https://slsa.dev/provenance/v0.2"
BUILD_TYPE_1: Final = (
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md"
)
BUILD_TYPE_02: Final = "https://mobyproject.org/buildkit@v1"

KNOWN: Final = frozenset(
    {"mode", "version", "builder-id", "filename", "reproducible", "inline-only", "disabled", "type"}
)
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@]+@")


def statement(solved: Solved, image: Assembled, attributes: Mapping[str, str]) -> dict[str, Any]:
    """The statement without subjects. ``InvalidParameter`` for attributes that can't be."""
    for key in attributes:
        if key not in KNOWN:
            raise InvalidParameter(f"unknown attribute {key!r} of provenance")
    version = attributes.get("version") or "v1"
    if version not in ("v1", "v0.2"):
        raise InvalidParameter(f"invalid provenance SLSA version: {version}")
    predicate = _predicate(solved, image, attributes)
    if version == "v1":
        return {"_type": STATEMENT_1, "predicateType": PREDICATE_1, "predicate": predicate}
    return {"_type": STATEMENT_01, "predicateType": PREDICATE_02, "predicate": _older(predicate)}


def _predicate(solved: Solved, image: Assembled, attributes: Mapping[str, str]) -> dict[str, Any]:
    """SLSA v1."""
    mode = attributes.get("mode") or "max"
    if mode not in ("min", "max"):
        raise InvalidParameter(f"invalid mode {mode!r}")
    complete = mode == "max"
    request = _request(solved, whole=complete)
    source = _config_source(solved, image.materials)
    local = "uri" not in source
    internal: dict[str, Any] = {"builderPlatform": str(image.platform)}
    metadata: dict[str, Any] = {}
    if complete:
        steps = {step.id: f"step{number}" for number, step in enumerate(image.steps)}
        internal["buildConfig"] = {
            "llbDefinition": [
                {
                    "id": steps[step.id],
                    "op": {"instruction": step.instruction or step.name},
                    "inputs": [f"{steps[each]}:0" for each in step.inputs if each in steps],
                }
                for step in image.steps
            ],
            "digestMapping": {step.id: steps[step.id] for step in image.steps},
        }
        metadata = {
            "source": {
                "locations": {
                    steps[step.id]: {
                        "locations": [
                            {
                                "ranges": [
                                    {
                                        "start": {"line": step.lines[0]},
                                        "end": {"line": step.lines[1]},
                                    }
                                ]
                            }
                        ]
                    }
                    for step in image.steps
                    if step.lines[0]
                },
                "infos": [
                    {
                        "filename": solved.dockerfile_name,
                        "language": "Dockerfile",
                        "data": base64.b64encode(solved.dockerfile).decode(),
                    }
                ],
            }
        }
    network = any(
        step.instruction.upper().startswith("RUN") and "--network=none" not in step.instruction
        for step in image.steps
    )
    run: dict[str, Any] = {
        "invocationID": solved.ref,
        "startedOn": format_rfc3339(solved.started_ns),
        "finishedOn": format_rfc3339(solved.finished_ns),
        "buildkit_metadata": metadata,
    }
    if not local and not network:
        run["buildkit_hermetic"] = True
    run["buildkit_completeness"] = {"request": complete, "resolvedDependencies": not local}
    if attributes.get("reproducible", "").lower() in ("true", "1"):
        run["buildkit_reproducible"] = True
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE_1,
            "externalParameters": {"configSource": source, "request": request},
            "internalParameters": internal,
            "resolvedDependencies": [_material(each) for each in _unique(image.materials)],
        },
        "runDetails": {
            "builder": {"id": attributes.get("builder-id", "")},
            "metadata": run,
        },
    }


def _request(solved: Solved, *, whole: bool) -> dict[str, Any]:
    """The build's parameters; build arguments and labels only in ``max``."""
    options = solved.options
    args: dict[str, str] = {}
    if options.target:
        args["target"] = options.target
    for name, where in options.named_contexts.items():
        args[f"context:{name}"] = redacted(where)
    if options.no_cache:
        args["no-cache"] = ""
    if options.network.value != "default":
        args["force-network-mode"] = options.network.value
    if whole:
        args |= {f"build-arg:{key}": value for key, value in options.build_args.items()}
        args |= {f"label:{key}": value for key, value in options.labels.items()}
    request: dict[str, Any] = {"frontend": "dockerfile.v0"}
    if args:
        request["args"] = dict(sorted(args.items()))
    locals_ = [] if "://" in options.context or not options.context else [options.context]
    if options.dockerfile_source and options.dockerfile_source not in locals_:
        locals_.append(options.dockerfile_source)
    if locals_:
        request["locals"] = [{"name": name} for name in locals_]
    return request


def _config_source(solved: Solved, materials: list[Material]) -> dict[str, Any]:
    options = solved.options
    source: dict[str, Any] = {}
    if "://" in options.context or options.context.startswith("git@"):
        source["uri"] = redacted(options.context)
        bare = source["uri"].partition("#")[0]
        for material in materials:
            if redacted(material.uri).partition("#")[0] == bare:
                source["digest"] = _digest(str(material.digest))
                break
    source["path"] = solved.dockerfile_name
    return source


def _older(predicate: dict[str, Any]) -> dict[str, Any]:
    """The same as SLSA v0.2 has it."""
    definition, run = predicate["buildDefinition"], predicate["runDetails"]
    external, internal = definition["externalParameters"], definition["internalParameters"]
    metadata = run["metadata"]
    source = {key: value for key, value in external["configSource"].items() if key != "path"}
    source["entryPoint"] = external["configSource"].get("path", "")
    told: dict[str, Any] = {
        "buildInvocationID": metadata["invocationID"],
        "buildStartedOn": metadata["startedOn"],
        "buildFinishedOn": metadata["finishedOn"],
        "completeness": {
            "parameters": metadata["buildkit_completeness"]["request"],
            "environment": True,
            "materials": metadata["buildkit_completeness"]["resolvedDependencies"],
        },
        "reproducible": metadata.get("buildkit_reproducible", False),
        f"{BUILD_TYPE_02}#metadata": metadata["buildkit_metadata"],
    }
    if metadata.get("buildkit_hermetic"):
        told[f"{BUILD_TYPE_02}#hermetic"] = True
    older: dict[str, Any] = {
        "builder": run["builder"],
        "buildType": BUILD_TYPE_02,
        "materials": definition["resolvedDependencies"],
        "invocation": {
            "configSource": source,
            "parameters": external["request"],
            "environment": {"platform": internal["builderPlatform"]},
        },
        "metadata": told,
    }
    if "buildConfig" in internal:
        older["buildConfig"] = internal["buildConfig"]
    return older


def _unique(materials: list[Material]) -> list[Material]:
    return list(dict.fromkeys(materials))


def _material(material: Material) -> dict[str, Any]:
    found: dict[str, Any] = {"uri": redacted(material.uri)}
    if material.digest:
        found["digest"] = _digest(str(material.digest))
    return found


def _digest(text: str) -> dict[str, str]:
    """``sha256:…``, or a git commit."""
    if is_digest(text):
        return {"sha256": text[7:]}
    return {"sha256" if len(text) == 64 else "sha1": text}


def redacted(url: str) -> str:
    """``url`` without user and password."""
    return _CREDENTIALS.sub("", url)
