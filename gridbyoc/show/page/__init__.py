"""The page about a stack: one HTML file without scripts or network access, and the same content as JSON."""
