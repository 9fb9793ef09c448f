"""A URL prefix bound to a backend, and the URLs of its files."""
