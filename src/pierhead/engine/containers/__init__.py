"""Containers: what they are, their life from create to remove, and what one can do with them.

The map for newcomers, in the order of a container's life::

    model.py       records and statuses as stored; the state machine drawn
    container.py   one live container: record, status, lock, watchers, attached clients
    registry.py    all of them: names, id prefixes, write-through to the database
    context.py     what every verb needs (stores, networks, runtime, events, settings)
    service.py     the front door: one method a verb, each in a module of its own

    names.py users.py merge.py validate/ limits.py      deciding what is asked for (pure)
    create.py start.py launch.py exits.py restarts.py   coming to life and leaving it
    stop.py pause.py update.py rename.py remove.py prune.py wait.py
    attach.py detach.py exec.py resize.py               streams
    logformat.py logfiles.py logs.py                    the log
    health.py stats.py top.py inspect.py listing.py     looking at it
    recovery.py                                         after a restart of pierd
    files.py                                            archive, changes, export

Verbs are functions over a ``Context`` and a ``Container``; they hold the container's lock
for a transition and never while they wait for a process or a client.
"""
