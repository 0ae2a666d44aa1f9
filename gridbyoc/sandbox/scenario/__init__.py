"""Scenarios of a rehearsal: files that say which requests to the sandbox fail, when, and how."""
