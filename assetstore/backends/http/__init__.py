"""An HTTP origin as a backend."""
