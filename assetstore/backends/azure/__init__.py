"""An Azure Blob Storage container as a backend, over Microsoft's own azure-storage-blob."""
