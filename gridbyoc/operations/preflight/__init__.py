"""Preflight: what must hold before anything is made, looked at side by side; only proof blocks."""
