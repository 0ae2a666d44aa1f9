"""Quotas: what new clusters need, whether the account has room for it, and requesting increases from AWS."""
