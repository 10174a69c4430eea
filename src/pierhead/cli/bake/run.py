"""Targets built at the same time, each over its own connection, on one display.

A target that others take as a context (``target:x``) is built before them, and its result
is kept by the daemon (``keep``) until the last of them is done.
"""

from __future__ import annotations

import threading

from pierhead.cli.build.request import Request
from pierhead.cli.errors import CliError
from pierhead.cli.main import getenv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.bake.target import Target
    from pierhead.cli.build.door import Door
    from pierhead.cli.build.progress.display import Display
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

_LOOK_S = 0.2


def request_of(target: Target) -> Request:
    """A target as a request. Raises ``ValueError`` and ``CliError``."""
    from pierhead.cli.build import values
    from pierhead.cli.build.sources import is_remote
    from pierhead.cli.flags import parse_bytes

    request = Request()
    context = str(target.get("context", "."))
    dockerfile = str(target.get("dockerfile", ""))
    if context == "-":
        raise CliError("ERROR: context from stdin not allowed in bake")
    if dockerfile == "-":
        raise CliError("ERROR: dockerfile from stdin not allowed in bake")
    request.context = context.removeprefix("cwd://") or "."
    if target.get("dockerfile-inline") is not None:
        request.dockerfile_text = str(target["dockerfile-inline"]).encode()
    elif dockerfile.startswith("cwd://"):
        request.dockerfile = dockerfile.removeprefix("cwd://")
    elif is_remote(request.context) or dockerfile.startswith("/"):
        request.dockerfile = dockerfile
    else:
        request.dockerfile = f"{request.context}/{dockerfile}"
    request.target = str(target.get("target", ""))
    request.tags = list(target.get("tags", ()))
    request.platforms = list(target.get("platforms", ()))
    request.build_args = _texts(target.get("args"))
    request.labels = _texts(target.get("labels"))
    request.annotations = values.annotation_keys(target.get("annotations", ()))
    request.contexts = {
        name.removesuffix(":latest"): value.removeprefix("cwd://")
        for name, value in _texts(target.get("contexts")).items()
    }
    request.outputs = [dict(entry) for entry in target.get("output", ())]
    request.cache_from = [dict(entry) for entry in target.get("cache-from", ())]
    request.cache_to = [dict(entry) for entry in target.get("cache-to", ())]
    for entry in target.get("attest", ()):
        kind = entry["type"]
        if kind not in request.attestations:
            rest = {key: one for key, one in entry.items() if key not in ("type", "disabled")}
            request.attestations[kind] = None if entry.get("disabled") == "true" else rest
    request.secrets = [dict(entry) for entry in target.get("secret", ())]
    request.ssh = [dict(entry) for entry in target.get("ssh", ())]
    request.no_cache = bool(target.get("no-cache"))
    request.no_cache_filter = list(target.get("no-cache-filter", ()))
    request.pull = bool(target.get("pull"))
    request.network = str(target.get("network", "default"))
    hosts = [f"{name}={address}" for name, address in _texts(target.get("extra-hosts")).items()]
    request.hosts = values.hosts(hosts)
    request.ulimits = values.ulimits(target.get("ulimits", ()))
    if target.get("shm-size"):
        request.limits["shm_size"] = parse_bytes(str(target["shm-size"]))
    request.allow = list(target.get("entitlements", ()))
    request.call = values.call(str(target.get("call", "")))
    return request


def _texts(value: dict[str, str | None] | None) -> dict[str, str]:
    return {key: one for key, one in (value or {}).items() if one is not None}


def links(target: Target) -> dict[str, str]:
    """Contexts that are other targets: name of the context → target."""
    return {
        name: value[len("target:") :]
        for name, value in _texts(target.get("contexts")).items()
        if value.startswith("target:")
    }


class _Prefixed:
    """One target's share of the display; safe to use from its thread."""

    def __init__(self, display: Display, name: str, lock: Any, *, alone: bool) -> None:
        #: Ref of another target's result -> what the Dockerfile calls it.
        self.known_as: dict[str, str] = {}
        self._display = display
        self._name = name
        self._lock = lock
        self._alone = alone

    def update(self, events: list[dict[str, Any]]) -> None:
        """Events with the target's name before that of each step."""
        if not self._alone:
            events = [self._named(event) for event in events]
        with self._lock:
            self._display.update(events)

    def refresh(self) -> None:
        """Draw again."""
        with self._lock:
            self._display.refresh()

    def _named(self, event: dict[str, Any]) -> dict[str, Any]:
        step = event.get("step")
        if step is None:
            return event
        event = {**event, "step": f"{step}:{self._name}"}
        if event.get("type") == "started":
            name = str(event.get("name", ""))
            for ref, known in self.known_as.items():
                name = name.replace(ref, known)
            event["name"] = prefixed(self._name, name)
            event["inputs"] = [f"{one}:{self._name}" for one in event.get("inputs", ())]
        return event


def prefixed(target: str, name: str) -> str:
    """``[2/3] RUN x`` of target ``app`` is ``[app 2/3] RUN x``."""
    return f"[{target} {name[1:]}" if name.startswith("[") else f"[{target}] {name}"


class _Job:
    """One target being built."""

    def __init__(self, name: str, target: Target, request: Request) -> None:
        self.name = name
        self.target = target
        self.request = request
        self.links = links(target)
        self.done = threading.Event()
        self.result: dict[str, Any] | None = None
        self.door: Door | None = None


class _Stopped(Exception):
    """Another target failed first."""


class _Bake:
    """All targets of one call."""

    def __init__(self, cli: Cli, jobs: dict[str, _Job], display: Display) -> None:
        self._cli = cli
        self._jobs = jobs
        self._display = display
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.first: BaseException | None = None
        #: Whose error that is.
        self.failed: _Job | None = None

    def run(self) -> None:
        """Build everything; the first failure stops the rest and is kept in ``first``."""
        threads = [
            threading.Thread(target=self._job, args=(job,), name=f"bake {job.name}", daemon=True)
            for job in self._jobs.values()
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(_LOOK_S)
        except KeyboardInterrupt:
            self._stop()
            for thread in threads:
                thread.join(10)
            raise
        finally:
            for job in self._jobs.values():
                if job.door is not None:
                    job.door.close()

    def _stop(self) -> None:
        self._stopped.set()
        for job in self._jobs.values():
            if job.door is not None and not job.done.is_set():
                job.door.cancel()

    def _job(self, job: _Job) -> None:
        try:
            self._build(job)
        except _Stopped:
            pass
        except BaseException as error:
            with self._lock:
                if self.first is None:
                    self.first = error
                    self.failed = job
            self._stop()
        finally:
            job.done.set()

    def _build(self, job: _Job) -> None:
        from pierhead.cli.build import perform

        alone = len(self._jobs) == 1
        display = _Prefixed(self._display, job.name, self._lock, alone=alone)
        for other in job.links.values():
            self._jobs[other].done.wait()
            if self._jobs[other].result is None:
                raise _Stopped
        if self._stopped.is_set():
            raise _Stopped
        for name, other in job.links.items():
            ref = str((self._jobs[other].result or {}).get("ref", ""))
            job.request.contexts[name] = f"solved://{ref}"
            display.known_as[ref] = name
        located = perform.prepare(job.request)
        extra: dict[str, Any] = {}
        if any(job.name in one.links.values() for one in self._jobs.values()):
            extra["keep"] = True
        if (call := job.request.call["name"]) != "build":
            extra["call"] = {"lint": "check"}.get(call, call)

        def opened(door: Door) -> None:
            job.door = door

        job.result = perform.build(
            self._cli, job.request, located, display, extra=extra, opened=opened
        )


def check_entitlements(targets: dict[str, Target], allowed: list[str]) -> None:
    """What a file asks for beyond the usual has to be allowed by hand. Raises ``CliError``."""
    missing = [
        f"--allow {entitlement}"
        for target in targets.values()
        for entitlement in target.get("entitlements", ())
        if entitlement not in allowed
    ]
    if missing:
        wanted = " ".join(dict.fromkeys(missing))
        raise CliError(
            f'ERROR: additional privileges requested: pass "{wanted}" to grant requested privileges'
        )


def build_all(cli: Cli, options: Options, targets: dict[str, Target]) -> int | None:
    """Build targets; the exit code."""
    from pierhead.cli.build import outcome, perform
    from pierhead.cli.build.command import check_builder
    from pierhead.cli.build.door import BuildFailed
    from pierhead.cli.build.progress.display import Display

    check_builder(options)
    mode = options.string("progress")
    if not options.changed("progress"):
        mode = getenv("BUILDKIT_PROGRESS") or mode
    check_entitlements(targets, options.strings("allow"))
    jobs: dict[str, _Job] = {}
    try:
        for name, target in targets.items():
            jobs[name] = _Job(name, target, request_of(target))
    except ValueError as error:
        raise CliError(f"ERROR: {error}") from None
    cli.client.negotiate()
    cli.client.close()  # each target makes its own connection: the idle one isn't shared
    display = Display(
        mode,
        text='building with "default" instance using docker driver',
        console="docker:default",
    )
    work = _Bake(cli, jobs, display)
    try:
        work.run()
    finally:
        display.close()
    perform.tell_warnings(cli, display)
    first = work.first
    if isinstance(first, BuildFailed):
        job = work.failed
        raise perform.report(
            cli, first, job.request if job else Request(), target=job.name if job else ""
        )
    if isinstance(first, perform.NoDoor):
        raise CliError(
            "ERROR: the daemon is a Docker without Pierhead's builder: use docker buildx"
        )
    if first is not None:
        raise first
    if path := options.string("metadata-file"):
        results = {name: outcome.metadata_of(job.result or {}, []) for name, job in jobs.items()}
        outcome.write_metadata(path, results)
    return _described(cli, jobs)


def _described(cli: Cli, jobs: dict[str, _Job]) -> int | None:
    """Print what ``--call`` found for each target."""
    from pierhead.cli.build.command import print_description

    code = 0
    first = True
    for name in sorted(jobs):
        job = jobs[name]
        if job.request.call["name"] == "build":
            continue
        text = "" if first else "\n"
        first = False
        described = str(job.target.get("description", ""))
        cli.out(f"{text}{name}\n{described + chr(10) if described else ''}\n")
        code = print_description(cli, job.request, job.result or {}) or code
    return code or None
