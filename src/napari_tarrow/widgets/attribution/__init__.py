"""The dock "Show attribution"."""
