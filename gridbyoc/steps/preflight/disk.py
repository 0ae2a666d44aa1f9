"""Is there room for the AWS provider, wherever Terraform would put it?"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from gridbyoc.steps.preflight.model import Check, Finding, Kind
from gridbyoc.steps.preflight.scene import Scene
from gridbyoc.terraform import check_mirror

MEGABYTE = 1024 * 1024
PROVIDER = 700 * MEGABYTE
"""The AWS provider 5.100 unpacked is 675 MB."""
TIGHT = 2 * PROVIDER
"""The downloaded archive lies beside it for a while, and the state and logs want some, too."""

FreeBytes = Callable[[Path], int]

DISK = Kind(
    "GBY-D003",
    "tools",
    "disk space",
    """Free space where Terraform unpacks the AWS provider (about 700 MB): the stack's work_dir, or TF_PLUGIN_CACHE_DIR.
    Fails where it cannot fit, warns where it is tight, or where another version or module may need less. With a
    provider mirror, or once the provider is there, nothing is needed.""",
    "https://developer.hashicorp.com/terraform/cli/config/config-file#provider-plugin-cache",
)


def free_bytes(place: Path) -> int:
    """What an ordinary user may still write to the file system of ``place``, or of its nearest parent there is."""
    there = next(path for path in (place, *place.parents) if path.exists())
    return shutil.disk_usage(there).free


def _disk(scene: Scene) -> Iterator[Finding]:
    yield judged_disk(scene, free_bytes)


def judged_disk(scene: Scene, free: FreeBytes) -> Finding:
    """Where the provider goes, and whether it fits there."""
    environ, asked = scene.machine.environ, scene.stack.terraform.provider_mirror if scene.stack else None
    mirror = check_mirror(asked, environ)
    if any(_has_provider(each) for each in ((mirror,) if mirror else _implied_mirrors(scene))):
        return Finding(DISK, "pass", "nothing is needed: Terraform links the provider from a mirror")
    cache = environ.get("TF_PLUGIN_CACHE_DIR")
    place = Path(cache).expanduser() if cache else scene.work_dir
    if _has_provider(place if cache else place / ".terraform" / "providers"):
        return Finding(DISK, "pass", f"the AWS provider lies in {place} already")
    left = free(place)
    facts = {"free_bytes": left, "needed_bytes": PROVIDER, "place": str(place)}
    read, needed = f"{left // MEGABYTE} MB free at {place}", f"{PROVIDER // MEGABYTE} MB"
    if left >= TIGHT:
        return Finding(DISK, "pass", read, needed, source="statvfs", facts=facts)
    fix = "Free some space, set TF_PLUGIN_CACHE_DIR to a roomier place, or use a provider mirror."
    proven = left < PROVIDER and _is_the_usual_one(scene) and not _own_cli_config(scene)
    return Finding(DISK, "fail" if proven else "warn", read, needed, fix, "statvfs", facts=facts)


def _has_provider(directory: Path) -> bool:
    try:
        return any(True for _ in directory.glob("*/hashicorp/aws/*/*/terraform-provider-aws*"))
    except OSError:
        return False


def _is_the_usual_one(scene: Scene) -> bool:
    """Older versions are half as large, and another module may need no AWS provider at all."""
    chosen = scene.stack.terraform if scene.stack else None
    if chosen and (chosen.module or chosen.aws_provider_version):
        return False
    return not (scene.work_dir / ".terraform.lock.hcl").exists()


def _implied_mirrors(scene: Scene) -> tuple[Path, ...]:
    """Where Terraform looks first by itself.

    https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
    """
    home, data = scene.machine.home, scene.machine.environ.get("XDG_DATA_HOME")
    shared = (Path(data) if data else home / ".local" / "share", Path("/usr/local/share"), Path("/usr/share"))
    own = (scene.work_dir / "terraform.d" / "plugins", home / ".terraform.d" / "plugins")
    return (*own, *(place / "terraform" / "plugins" for place in shared))


def _own_cli_config(scene: Scene) -> bool:
    """A configuration of the user's may name a cache or a mirror elsewhere, so that nothing is proven.

    https://developer.hashicorp.com/terraform/cli/config/config-file#locations
    """
    named = scene.machine.environ.get("TF_CLI_CONFIG_FILE")
    files = (Path(named),) if named else (scene.machine.home / ".terraformrc", scene.machine.home / ".tofurc")
    return any(file.is_file() for file in files)


CHECKS = (Check((DISK,), _disk),)
