"""The client side of registries: references to bytes, and back.

``endpoints`` says where a registry and its mirrors are and how far they are trusted,
``credentials`` what the client sent along, ``auth`` turns both into an ``Authorization``
header for one host, ``http`` speaks to it (TLS, proxies, redirects, words of failure),
``registry`` is the distribution protocol on top. Pulling and pushing images is built on it.
"""
