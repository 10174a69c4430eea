"""The handlers behind the rows of ``routes.py``, a module a noun.

A handler turns parameters into one call of the engine and its result into an answer. It
maps no errors, and leaves older versions' shapes of answers to ``shape.py``.
"""
