"""Shared by integration and end-to-end tests: a daemon, clients, a terminal, leak checks."""
