"""The engine: movies, networks, training and inference, without a window."""
