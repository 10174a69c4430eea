"""What the integration and end-to-end tests share: a daemon, command lines, a terminal, leak checks."""
