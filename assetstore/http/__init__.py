"""From request to response."""
