"""How docker prints: tables, templates, JSON, sizes, times, ports, progress.

Text in, text out; only ``listing``, ``progress`` and ``prompt`` touch the terminal.
"""
