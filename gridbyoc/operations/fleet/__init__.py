"""Fleets: find many stacks, order them, run them in parallel as separate processes, and record the results."""
