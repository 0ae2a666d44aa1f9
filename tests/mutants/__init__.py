"""Mutants: each breaks a line that stands between a user and loss, a wider grant or a wrong verdict."""
