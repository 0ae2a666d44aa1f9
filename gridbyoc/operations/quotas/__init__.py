"""Quotas: what new clusters need, whether the account has room for it, and asking AWS for more."""
