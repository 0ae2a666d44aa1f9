"""What outlives a deleted cluster: the ledger of it, and its deletion."""

from gridbyoc.aws.leftovers.delete import HOLDS_DATA, OnEvent, Patience, State, delete
from gridbyoc.aws.leftovers.find import find
from gridbyoc.aws.leftovers.model import Ledger, Leftover, PastCluster, Place, Search, Unknown

__all__ = [
    "HOLDS_DATA",
    "Ledger",
    "Leftover",
    "OnEvent",
    "PastCluster",
    "Patience",
    "Place",
    "Search",
    "State",
    "Unknown",
    "delete",
    "find",
]
