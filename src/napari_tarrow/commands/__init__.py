"""Faces in the terminal: one file per command, and what they share."""
