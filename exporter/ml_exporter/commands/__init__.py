"""The commands, a module each, so that one loads only what it needs."""
