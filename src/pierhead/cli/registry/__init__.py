"""Commands that talk to registries through the daemon."""
