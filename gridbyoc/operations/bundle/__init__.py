"""Plan and apply as two jobs: what was reviewed travels in one file, and is applied exactly or not at all."""
