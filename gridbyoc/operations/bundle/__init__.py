"""Plan and apply as two jobs: the reviewed plan travels in one file, and is applied exactly or not at all."""
