"""The Engine API edge: route table, versions, codec, errors, streams. No engine logic.

In the order of a request's way::

    connection.py  one client's connection; may be hijacked
    app.py         version → row → body → handler → answer
    versions.py    which versions, and their errors
    route.py       the form of a row; routes.py has the rows
    call.py        the request as a handler sees it; query.py, codec.py
    handlers/      one module a noun
    shape.py       answers in the shape of older versions
    hijack.py      attach and exec: a duplex stream instead of HTTP
    errors.py      kinds of errors and their statuses

aiohttp is imported by its parts, see ``lean.py``.
"""

from pierhead.api.lean import install

install()
