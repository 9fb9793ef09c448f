"""Template engines and frameworks."""
