"""What history says of each instruction, in BuildKit's words and in the classic builder's. Pure.

BuildKit writes ``CMD ["x" "y"]`` and ``RUN /bin/sh -c make # buildkit``; the classic builder
what its container would have run: ``/bin/sh -c #(nop)  CMD ["x" "y"]``, ``/bin/sh -c make``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pierhead.build.dockerfile.gotext import quote, quote_list
from pierhead.oci.image_config import HealthcheckConfig

COMMENT: Final = "buildkit.dockerfile.v0"
DEFAULT_SHELL: Final = ("/bin/sh", "-c")


def plain_list(items: Sequence[str]) -> str:
    """Go's ``%v`` of a list of strings: ``[a b]``."""
    return f"[{' '.join(items)}]"


def duration(nanoseconds: int) -> str:
    """Go's text of a ``time.Duration``: ``1m30s``, ``1.5s``, ``20ms``, ``0s``."""
    if nanoseconds == 0:
        return "0s"
    sign, left = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if left < 1_000_000_000:
        for unit, scale in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1)):
            if left >= scale:
                return f"{sign}{_decimal(left, scale)}{unit}"
    minutes, rest = divmod(left, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, 1_000_000_000)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    if hours:
        text = f"{hours}h{text}"
    return sign + text


def _decimal(value: int, scale: int) -> str:
    whole, rest = divmod(value, scale)
    if not rest:
        return str(whole)
    digits = str(scale + rest)[1:].rstrip("0")
    return f"{whole}.{digits}"


def healthcheck(config: HealthcheckConfig) -> str:
    """Go's ``%+v`` of the config's struct."""
    fields = (
        f"Test:{plain_list(config.test or ())}",
        f"Interval:{duration(config.interval)}",
        f"Timeout:{duration(config.timeout)}",
        f"StartPeriod:{duration(config.start_period)}",
        f"StartInterval:{duration(config.start_interval)}",
        f"Retries:{config.retries}",
    )
    return f"{{{' '.join(fields)}}}"


def healthcheck_classic(config: HealthcheckConfig) -> str:
    """Go's ``%q`` of a pointer to it, as dockerd 20.10's classic builder writes it."""
    times = (config.interval, config.timeout, config.start_period)
    retries = f"'\\x{config.retries:02x}'" if config.retries < 0x20 else f"'{config.retries:c}'"
    shown = " ".join(quote(duration(time)) for time in times)
    return f"&{{{quote_list(config.test or ())} {shown} {_RUNES.get(config.retries, retries)}}}"


_RUNES: Final[Mapping[int, str]] = {
    7: "'\\a'", 8: "'\\b'", 9: "'\\t'", 10: "'\\n'", 11: "'\\v'", 12: "'\\f'", 13: "'\\r'",
}  # fmt: skip


def run(
    args: Sequence[str],
    build_args: Sequence[tuple[str, str]],
    *,
    classic: bool,
    proxies: bool = False,
) -> str:
    """``created_by`` of a RUN; ``build_args`` are those that are in force, in order.

    With ``proxies`` the classic builder counts the arguments even if there are none to show.
    """
    words = list(args)
    if build_args or (classic and proxies):
        words = [f"|{len(build_args)}", *(f"{key}={value}" for key, value in build_args), *words]
    text = " ".join(words)
    return text if classic else f"RUN {text} # buildkit"


def nop(text: str, shell: Sequence[str] | None, *, single: bool = False) -> str:
    """The classic builder's ``created_by`` of what runs nothing.

    Most instructions are two arguments there, WORKDIR, COPY and ADD are one (``single``):
    one blank less.
    """
    words = [*(shell or DEFAULT_SHELL), f"#(nop) {text}" if single else f"#(nop)  {text}"]
    return " ".join(words)
