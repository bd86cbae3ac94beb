"""The dock "Train TAP"."""
