"""What botocore ships as data, read without importing botocore (which takes longer than the rest of the loading)."""

from __future__ import annotations

import functools
import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any


def data_directories() -> tuple[Path, ...]:
    """Where the installed botocore keeps its data; none where there is no botocore."""
    spec = importlib.util.find_spec("botocore")
    return tuple(Path(place, "data") for place in (spec.submodule_search_locations if spec else None) or ())


def partitions(directories: tuple[Path, ...] | None = None) -> list[dict[str, Any]]:
    """The AWS partitions with their regions; empty where the directories (default: botocore's) have no such data."""
    for directory in data_directories() if directories is None else directories:
        file = directory / "partitions.json"
        if file.is_file():
            return list(json.loads(file.read_text(encoding="utf-8"))["partitions"])
    return []


@functools.cache
def known_types(directories: tuple[Path, ...] | None = None) -> frozenset[str]:
    """The EC2 instance types of botocore's model: for suggestions only, as it may be older than EC2 itself."""
    for directory in data_directories() if directories is None else directories:
        for model in sorted(directory.glob("ec2/*/service-2.json.gz"), reverse=True):
            with gzip.open(model) as stream:
                return frozenset(json.load(stream)["shapes"]["InstanceType"]["enum"])
    return frozenset()
