"""Logical paths to fingerprinted paths."""
