"""Attribution maps of whole movies, on the disk and as an animation."""
