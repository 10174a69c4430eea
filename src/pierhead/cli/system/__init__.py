"""Commands on the daemon as a whole."""
