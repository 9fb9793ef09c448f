"""Helpers that know nothing of assets."""
