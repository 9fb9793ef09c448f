"""What is true of a file by itself: legal paths, media types, content codings, cache policy."""
