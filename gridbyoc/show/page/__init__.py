"""The page about a stack: one HTML file without scripts and without network, and the same as JSON."""
