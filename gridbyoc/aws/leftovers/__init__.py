"""What outlives a deleted cluster: the ledger of it, and its deletion."""

from gridbyoc.aws.leftovers.delete import HOLDS_DATA, DeletionStage, OnEvent, Patience, delete
from gridbyoc.aws.leftovers.find import find
from gridbyoc.aws.leftovers.model import DeletedCluster, Ledger, Leftover, Place, Search, Unknown

__all__ = [
    "HOLDS_DATA",
    "DeletedCluster",
    "DeletionStage",
    "Ledger",
    "Leftover",
    "OnEvent",
    "Patience",
    "Place",
    "Search",
    "Unknown",
    "delete",
    "find",
]
