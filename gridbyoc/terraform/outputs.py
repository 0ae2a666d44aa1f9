"""The outputs that the module hands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gridbyoc.errors import SAFE_NOTHING_DONE, OutputMissingError
from gridbyoc.stack.secret import Secret


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the control plane is given. ``role_name`` is ``None`` with a module that does not say it."""

    role_arn: str
    external_id: Secret
    role_name: str | None = None


def read_outputs(document: Mapping[str, Any]) -> Outputs:
    """Read the object of ``output -json``; ``OutputMissingError`` names what is not in it."""
    role_arn, external_id, role_name = (_text(document, name) for name in ("role_arn", "external_id", "role_name"))
    if role_arn is None or external_id is None:
        missing = [name for name, value in (("role_arn", role_arn), ("external_id", external_id)) if value is None]
        raise OutputMissingError(
            f"The state has no output {' and no output '.join(missing)}.",
            why="The module has other outputs than these." if document else "Nothing has been applied yet.",
            fix="A module in the gridbyoc module's place must have the outputs role_arn and external_id."
            if document
            else "Run `gridbyoc bootstrap` first.",
            rerun=SAFE_NOTHING_DONE,
        )
    return Outputs(role_arn, Secret(external_id), role_name)


def sensitive_values(document: Mapping[str, Any]) -> tuple[Secret, ...]:
    """Every output marked sensitive that is a text, and the external id whether it is marked or not."""
    return tuple(
        Secret(text)
        for name in document
        if (text := _text(document, name)) is not None
        and (name == "external_id" or document[name].get("sensitive") is True)
    )


def _text(document: Mapping[str, Any], name: str) -> str | None:
    output = document.get(name)
    value = output.get("value") if isinstance(output, dict) else None
    return value if isinstance(value, str) and value else None
