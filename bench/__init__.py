"""Measurements beside other engines. ``bench/run`` starts it."""
