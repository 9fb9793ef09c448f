"""Runnable examples of assetstore; each says at its top how it is run."""
