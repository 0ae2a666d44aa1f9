"""Instance types with sizes and prices: what the sandbox's control plane offers."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

DEFAULT_INSTANCE_TYPES = (
    "g2.8xlarge", "g3.16xlarge", "g3.4xlarge", "g3.8xlarge", "g3s.xlarge", "g4dn.12xlarge", "g4dn.16xlarge",
    "g4dn.2xlarge", "g4dn.4xlarge", "g4dn.8xlarge", "g4dn.metal", "g4dn.xlarge", "p2.16xlarge", "p2.8xlarge",
    "p2.xlarge", "p3.16xlarge", "p3.2xlarge", "p3.8xlarge", "p3dn.24xlarge", "t2.large", "t2.medium", "t2.xlarge",
    "t2.2xlarge", "t3.large", "t3.medium", "t3.xlarge", "t3.2xlarge",
)  # fmt: skip
"""What the guide's client asks for where its user names none, in its order (read in that client)."""


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
