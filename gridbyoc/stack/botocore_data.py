"""What botocore ships as data, read without importing botocore (which takes longer than the rest of the loading)."""

from __future__ import annotations

import functools
import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any


def partitions() -> list[dict[str, Any]]:
    """The AWS partitions with their regions; empty where botocore has no such data."""
    for directory in _data():
        file = directory / "partitions.json"
        if file.is_file():
            return list(json.loads(file.read_text(encoding="utf-8"))["partitions"])
    return []


@functools.cache
def known_types() -> frozenset[str]:
    """The EC2 instance types of botocore's model: for suggestions only, as it may be older than EC2 itself."""
    for directory in _data():
        for model in sorted(directory.glob("ec2/*/service-2.json.gz"), reverse=True):
            with gzip.open(model) as stream:
                return frozenset(json.load(stream)["shapes"]["InstanceType"]["enum"])
    return frozenset()


def _data() -> list[Path]:
    spec = importlib.util.find_spec("botocore")
    return [Path(place, "data") for place in (spec.submodule_search_locations or [])] if spec else []
