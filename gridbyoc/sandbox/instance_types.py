"""Instance types with sizes and prices: what the sandbox's control plane offers."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class KnownType:
    """Memory in GiB; prices in USD an hour, us-east-1, as once published: for looking at, not for planning with."""

    name: str
    cpu: int
    gpu: int
    memory: float
    on_demand: float
    spot: float


@lru_cache(maxsize=1)
def known_types() -> dict[str, KnownType]:
    """The types of the data file beside this module, by name."""
    with (Path(__file__).parent / "instance_types.csv").open(newline="") as file:
        rows = [
            KnownType(
                row["name"], int(row["cpu"]), int(row["gpu"]), float(row["memory"]),
                float(row["on_demand"]), float(row["spot"]),
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip
    return {row.name: row for row in rows}
