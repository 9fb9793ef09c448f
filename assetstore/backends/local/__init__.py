"""A directory as a backend."""
