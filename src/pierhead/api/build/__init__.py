"""The parts of the build doors that are not handlers; imported when somebody builds.

- ``parameters``: the query of ``POST /build`` → ``BuildOptions``. Pure.
- ``drawing``: a build's events → the messages of the classic builder. Pure.
- ``classic``: the client of ``POST /build``: one tar, the registries' credentials.
- ``serving``: that request from its query to its last message.
- ``options``: the JSON of pier's own door → ``BuildOptions``, events → JSON. Pure.
- ``channels``: pier's own door as a ``build.model.Client``: frames, channels, windows.
- ``session``, ``shell``: one build, one debug shell over that door.
"""
