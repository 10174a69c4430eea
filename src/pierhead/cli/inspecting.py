"""What all ``inspect`` commands share: fetch one after the other, print together."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.format.inspect import make_inspector
from pierhead.client.errors import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pierhead.cli.main import Cli


def inspect_all(
    cli: Cli,
    names: Iterable[str],
    template: str,
    kind: str,
    fetch: Callable[[str], bytes | str],
    *,
    typed_only: bool = False,
) -> None:
    """Print what ``fetch`` gives for each name.

    Objects that fail don't stop the others; their errors are raised together as a
    ``CliError`` once the rest is printed. A bad template ends with code 64.
    """
    inspector = make_inspector(template, typed_only=typed_only)
    errors: list[str] = []
    for name in names:
        try:
            inspector.add(fetch(name), kind)
        except (ApiError, CliError) as error:
            errors.append(error.message if isinstance(error, CliError) else str(error))
        except Exception as error:
            if type(error).__name__ != "TemplateError":
                raise
            errors.append(str(error))
    cli.out(inspector.flush())
    if errors:
        raise CliError("\n".join(errors))
