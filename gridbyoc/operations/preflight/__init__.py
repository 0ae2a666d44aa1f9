"""Preflight: check in parallel what must hold before anything is created. Only proven problems block."""
