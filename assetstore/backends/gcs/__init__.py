"""A Google Cloud Storage bucket as a backend, over Google's own google-cloud-storage."""
