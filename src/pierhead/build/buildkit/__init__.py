"""BuildKit's door: what ``docker buildx`` and Compose v2 build through.

A client opens two HTTP/2 connections by ``Upgrade: h2c``: on ``/grpc`` it calls
``moby.buildkit.v1.Control`` and ``moby.buildkit.v1.frontend.LLBBridge`` here, and on
``/session`` it serves files, secrets, ssh agents, credentials and outputs, so there we call.

``door``      what the API's handlers and the wiring use
``schema``    the messages, as one compact table; ``messages`` makes classes of it
``wire``, ``channel``      gRPC on a transport that a handler took over: its server, its client
``tunnel``    a connection inside a call
``control``, ``gateway``   the services
``builds``    builds under way, by their client's reference
``options``   a client's attributes → ``BuildOptions`` (pure)
``status``    events → status responses (pure)
``faults``, ``history``, ``usage``, ``worker``   errors, kept builds, the cache, ourselves, as
              messages (pure)
``session``, ``filesync``, ``filesend``, ``outputs``, ``stores``   the other direction: a client's
              session as ``build.model.Client``
``uploads``   contexts of Docker 20.10's client that come by a request of their own

grpclib, h2 and protobuf are imported when the first client comes.
"""

from __future__ import annotations

from typing import Final

ID_HEADER: Final = "X-Docker-Expose-Session-Uuid"
KEY_HEADER: Final = "X-Docker-Expose-Session-Sharedkey"
METHOD_HEADER: Final = "X-Docker-Expose-Session-Grpc-Method"
"""Headers of ``POST /session``: its id, what to share local sources under, what it serves."""
