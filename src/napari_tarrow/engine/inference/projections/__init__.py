"""Projections of whole movies, in tiles that fit into the memory."""
