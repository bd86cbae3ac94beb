"""Events: found in maps, written, scored, drawn."""
