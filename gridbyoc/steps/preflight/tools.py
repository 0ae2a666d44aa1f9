"""Is there a Terraform that can do the work, and can it have its provider?"""

from __future__ import annotations

from collections.abc import Iterator

from gridbyoc.errors import GridbyocError
from gridbyoc.steps.preflight.model import Check, Finding, Kind
from gridbyoc.steps.preflight.scene import Scene
from gridbyoc.terraform import check_mirror

TERRAFORM = Kind(
    "GBY-D001",
    "tools",
    "Terraform",
    "A terraform or tofu of 1.5 or newer, or the embedded one, is found and answers. Fails without one.",
    "https://developer.hashicorp.com/terraform/install",
)
MIRROR = Kind(
    "GBY-D002",
    "tools",
    "provider mirror",
    "The provider mirror that is asked for is there and holds providers. Fails where it does not.",
    "https://developer.hashicorp.com/terraform/cli/config/config-file#provider-installation",
)


def _terraform(scene: Scene) -> Iterator[Finding]:
    try:
        binary = scene.binary()
    except GridbyocError as error:
        yield Finding(TERRAFORM, "fail", f"{error.what} {error.why}".strip(), "1.5 or newer", error.fix)
        return
    version = ".".join(map(str, binary.version))
    yield Finding(TERRAFORM, "pass", f"{binary.flavour} {version} at {binary.path}", "1.5 or newer", source="version")


def _mirror(scene: Scene) -> Iterator[Finding]:
    asked = scene.stack.terraform.provider_mirror if scene.stack else None
    try:
        mirror = check_mirror(asked, scene.machine.environ)
    except GridbyocError as error:
        yield Finding(MIRROR, "fail", f"{error.what} {error.why}".strip(), fix=error.fix)
        return
    found = f"providers come from {mirror}" if mirror else "none asked for: Terraform downloads its providers"
    yield Finding(MIRROR, "pass", found)


CHECKS = (Check((TERRAFORM,), _terraform), Check((MIRROR,), _mirror))
