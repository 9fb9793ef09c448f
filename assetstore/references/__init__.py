"""What a file refers to: pure parsers."""
