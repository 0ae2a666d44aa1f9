"""Handoff between two people: one creates the role, another registers clusters through it without AWS permissions."""
