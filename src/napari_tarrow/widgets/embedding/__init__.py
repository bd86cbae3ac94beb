"""The dock "Compute embeddings"."""
