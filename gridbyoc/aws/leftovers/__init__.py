"""AWS resources that outlive a deleted cluster: find them (the ledger) and delete them."""

from gridbyoc.aws.leftovers.delete import HOLDS_DATA, DeletionPatience, DeletionStage, OnDeletion, delete
from gridbyoc.aws.leftovers.find import find
from gridbyoc.aws.leftovers.model import DeletedCluster, Ledger, Leftover, Search, Unknown

__all__ = [
    "HOLDS_DATA",
    "DeletedCluster",
    "DeletionPatience",
    "DeletionStage",
    "Ledger",
    "Leftover",
    "OnDeletion",
    "Search",
    "Unknown",
    "delete",
    "find",
]
