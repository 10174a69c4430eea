"""Commands on contexts: which daemon to talk to."""
