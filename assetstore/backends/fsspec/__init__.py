"""Any fsspec filesystem as a backend."""
