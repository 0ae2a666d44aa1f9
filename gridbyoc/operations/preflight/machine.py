"""Check the machine: Terraform, disk space, the clock."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from gridbyoc.aws.connectivity import clock_skew
from gridbyoc.errors import GridbyocError
from gridbyoc.operations.finding import Finding, FindingKind
from gridbyoc.operations.preflight.model import Check, PreflightContext
from gridbyoc.terraform import check_mirror

MEGABYTE = 1024 * 1024
PROVIDER = 700 * MEGABYTE
"""The AWS provider 5.100 takes 675 MB unpacked."""
TIGHT = 2 * PROVIDER
"""The downloaded archive is beside it for a while, and the state and logs need some space, too."""

FreeBytes = Callable[[Path], int]

DISK = FindingKind(
    "GBY-D003",
    "tools",
    "disk space",
    """Free space where Terraform unpacks the AWS provider (about 700 MB): the stack's work_dir, or TF_PLUGIN_CACHE_DIR.
    Fails if it cannot fit, warns if space is short, or if another version or module may need less. With a
    provider mirror, or once the provider is installed, nothing is needed.""",
    "https://developer.hashicorp.com/terraform/cli/config/config-file#provider-plugin-cache",
)


def free_bytes(place: Path) -> int:
    """Bytes that an ordinary user may still write to the file system of ``place`` or its nearest existing parent."""
    there = next(path for path in (place, *place.parents) if path.exists())
    return shutil.disk_usage(there).free


def _disk(scene: PreflightContext) -> Iterator[Finding]:
    yield judged_disk(scene, free_bytes)


def judged_disk(scene: PreflightContext, free: FreeBytes) -> Finding:
    """Find where the provider will be unpacked, and judge whether it fits there."""
    environ, asked = scene.machine.environ, scene.stack.terraform.provider_mirror if scene.stack else None
    mirror = check_mirror(asked, environ)
    if any(_has_provider(each) for each in ((mirror,) if mirror else _implied_mirrors(scene))):
        return Finding(DISK, "pass", "nothing is needed: Terraform links the provider from a mirror")
    cache = environ.get("TF_PLUGIN_CACHE_DIR")
    place = Path(cache).expanduser() if cache else scene.work_dir
    if _has_provider(place if cache else place / ".terraform" / "providers"):
        return Finding(DISK, "pass", f"the AWS provider is already in {place}")
    left = free(place)
    facts = {"free_bytes": left, "needed_bytes": PROVIDER, "place": str(place)}
    read, needed = f"{left // MEGABYTE} MB free at {place}", f"{PROVIDER // MEGABYTE} MB"
    if left >= TIGHT:
        return Finding(DISK, "pass", read, needed, source="statvfs", facts=facts)
    fix = "Free some space, set TF_PLUGIN_CACHE_DIR to a larger file system, or use a provider mirror."
    proven = left < PROVIDER and _is_the_usual_one(scene) and not _own_cli_config(scene)
    return Finding(DISK, "fail" if proven else "warn", read, needed, fix, "statvfs", facts=facts)


def _has_provider(directory: Path) -> bool:
    try:
        return any(True for _ in directory.glob("*/hashicorp/aws/*/*/terraform-provider-aws*"))
    except OSError:
        return False


def _is_the_usual_one(scene: PreflightContext) -> bool:
    """Whether the usual provider is used.

    Older versions are half as large, and another module may need no AWS provider.
    """
    chosen = scene.stack.terraform if scene.stack else None
    if chosen and (chosen.module or chosen.aws_provider_version):
        return False
    return not (scene.work_dir / ".terraform.lock.hcl").exists()


def _implied_mirrors(scene: PreflightContext) -> tuple[Path, ...]:
    """The directories that Terraform itself searches first.

    https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
    """
    home, data = scene.machine.home, scene.machine.environ.get("XDG_DATA_HOME")
    shared = (Path(data) if data else home / ".local" / "share", Path("/usr/local/share"), Path("/usr/share"))
    own = (scene.work_dir / "terraform.d" / "plugins", home / ".terraform.d" / "plugins")
    return (*own, *(place / "terraform" / "plugins" for place in shared))


def _own_cli_config(scene: PreflightContext) -> bool:
    """Whether the user has a CLI configuration. It may name a cache or mirror elsewhere, so the check proves nothing.

    https://developer.hashicorp.com/terraform/cli/config/config-file#locations
    """
    named = scene.machine.environ.get("TF_CLI_CONFIG_FILE")
    files = (Path(named),) if named else (scene.machine.home / ".terraformrc", scene.machine.home / ".tofurc")
    return any(file.is_file() for file in files)


DISK_CHECKS = (Check((DISK,), _disk),)


TERRAFORM = FindingKind(
    "GBY-D001",
    "tools",
    "Terraform",
    "A terraform or tofu of 1.5 or newer, or the embedded one, is found and answers. Fails without one.",
    "https://developer.hashicorp.com/terraform/install",
)
MIRROR = FindingKind(
    "GBY-D002",
    "tools",
    "provider mirror",
    "The configured provider mirror exists and holds providers. Fails if it does not.",
    "https://developer.hashicorp.com/terraform/cli/config/config-file#provider-installation",
)


def _terraform(scene: PreflightContext) -> Iterator[Finding]:
    try:
        binary = scene.binary()
    except GridbyocError as error:
        yield Finding(TERRAFORM, "fail", f"{error.what} {error.why}".strip(), "1.5 or newer", error.fix)
        return
    version = ".".join(map(str, binary.version))
    yield Finding(TERRAFORM, "pass", f"{binary.flavour} {version} at {binary.path}", "1.5 or newer", source="version")


def _mirror(scene: PreflightContext) -> Iterator[Finding]:
    asked = scene.stack.terraform.provider_mirror if scene.stack else None
    try:
        mirror = check_mirror(asked, scene.machine.environ)
    except GridbyocError as error:
        yield Finding(MIRROR, "fail", f"{error.what} {error.why}".strip(), fix=error.fix)
        return
    found = f"providers come from {mirror}" if mirror else "none configured: Terraform downloads its providers"
    yield Finding(MIRROR, "pass", found)


TERRAFORM_CHECKS = (Check((TERRAFORM,), _terraform), Check((MIRROR,), _mirror))


REFUSED = timedelta(minutes=5)
TOO_FAR = timedelta(minutes=1)

CLOCK = FindingKind(
    "GBY-D004",
    "tools",
    "clock",
    """This machine's clock against AWS's own. Fails from 5 minutes on, when AWS refuses every request, and warns from
    1 minute on.""",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html",
)


def _clock(scene: PreflightContext) -> Iterator[Finding]:
    yield judged_clock(clock_skew(scene.session(), scene.machine.now))


def judged_clock(skew: timedelta) -> Finding:
    """Judge the clock; ``skew`` is how far AWS is ahead."""
    off = abs(skew)
    seconds = round(off.total_seconds())
    read = f"{seconds} s {'behind' if skew > timedelta(0) else 'ahead of'} AWS" if seconds else "agrees with AWS"
    facts = {"skew_seconds": round(skew.total_seconds())}
    source, needed = "the Date header of an STS response", "less than 60 s off"
    if off < TOO_FAR:
        return Finding(CLOCK, "pass", read, needed, source=source, facts=facts)
    fix = "Set the clock: `sudo timedatectl set-ntp true` (a container has its host's clock)."
    return Finding(CLOCK, "fail" if off >= REFUSED else "warn", read, needed, fix, source, facts=facts)


CLOCK_CHECKS = (Check((CLOCK,), _clock),)
