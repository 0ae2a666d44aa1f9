"""Without a stack file the region is the environment's: its variables, else its profile's."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.e2e import warm_python

CONFIG = "[default]\nregion = eu-central-1\n\n[profile north]\nregion = eu-north-1\n\n[profile bare]\noutput = json\n"


@pytest.mark.parametrize(
    ("env", "region"),
    [
        ({}, "eu-central-1"),
        ({"AWS_PROFILE": "north"}, "eu-north-1"),
        ({"AWS_PROFILE": "north", "AWS_REGION": "sa-east-1"}, "sa-east-1"),
        ({"AWS_PROFILE": "bare"}, "us-east-1"),
        ({"AWS_PROFILE": "nobody"}, "us-east-1"),
    ],
)
def test_doctor_looks_at_the_region_that_the_aws_command_would(
    tmp_path: Path, env: dict[str, str], region: str
) -> None:
    config = tmp_path / "config"
    config.write_text(CONFIG)
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environ = {**own, "HOME": str(tmp_path), "AWS_CONFIG_FILE": str(config), **env}
    ran = warm_python.completed(("doctor", "--only", "GBY-D001", "--format", "json"), tmp_path, environ)
    assert json.loads(ran.stdout)["region"] == region, ran.stderr
