"""Dense embeddings, their principal components, and their means over objects."""
