"""Terraform itself: getting providers, starting them, and the machine they run on."""

from __future__ import annotations

from gridbyoc.errors.cards.model import LATER, Card

_MIRROR = "An air-gapped machine wants a provider mirror: `terraform providers mirror DIR` makes one, and " \
    "GRIDBYOC_PROVIDER_MIRROR or terraform.provider_mirror names it."  # fmt: skip

MIRROR_DOWN = Card(
    "GBY-T101",
    "Provider mirror cannot be reached",
    "The CLI configuration names a network mirror for providers, and it does not answer as one ({host}).",
    "Check the address of network_mirror in the file that TF_CLI_CONFIG_FILE (or ~/.terraformrc) names, and the "
    f"network. {_MIRROR}",
    (r"failed to query provider mirror https?://(?P<host>[\w.-]{1,253}(?::\d{1,5})?)",),  # Terraform 1.11
    LATER,
)
REGISTRY = Card(
    "GBY-T102",
    "Provider registry cannot be reached",
    "Terraform asked the registry for the provider's versions and got no answer.",
    f"Is the registry reachable (network, proxy in HTTPS_PROXY)? {_MIRROR}",
    (
        # Terraform 1.11: failed to request discovery document; before 1.9 with a capital: hashicorp/terraform#33044
        r"[Ff]ailed to request discovery document",
        r"could not connect to [\w.-]{1,253}",
        # hashicorp/terraform#26532, HXSecurity/TerraformGoat#98; OpenTofu: failed to query provider registry
        r"(?:could not query|failed to query) provider registry for",
        r"Failed to query available provider packages",
    ),
    LATER,
)
NO_VERSION = Card(
    "GBY-T103",
    "No version of the provider fits",
    "Neither registry nor mirror has a version of {provider} that all constraints allow.",
    "Correct terraform.provider_version in the stack file, or put that version into the mirror. `terraform providers` "
    "in the work_dir shows who asks for what.",
    (
        # Terraform 1.11 against a filesystem mirror
        r"no available releases match the given constraints",
        r"provider registry [\w.-]+ does not have a provider named",
        r"does not match configured version constraint",
    ),
)
CHECKSUM = Card(
    "GBY-T104",
    "Provider does not match the lock file",
    "The provider's package has none of the checksums in .terraform.lock.hcl: the file was written on another "
    "platform or from another source (a mirror), or the package is damaged.",
    "If the source is trusted, let the lock file be written anew: delete .terraform.lock.hcl in the work_dir and run "
    "`{init_command}`; for several platforms `terraform providers lock -platform=linux_amd64 -platform=darwin_arm64`.",
    (
        # Terraform 1.11; NixOS/infra#216, hashicorp/terraform#27769; OpenTofu has the same words
        r"any of the checksums (?:previously )?recorded in the dependency lock file",
        # hashicorp/terraform-provider-aws#41432
        r"archive has incorrect checksum",
    ),
)
DISK = Card(
    "GBY-T105",
    "Disk is full",
    "There is no space left where Terraform writes: the AWS provider alone needs about 800 MB while it is installed.",
    "Free some space (`df -h .` and `df -h /tmp` show it), or name another place in TMPDIR; TF_PLUGIN_CACHE_DIR keeps "
    "one copy of the provider for all stacks.",
    (r"no space left on device|[Dd]isk quota exceeded|There is not enough space on the disk",),  # errno ENOSPC, EDQUOT
)
DOWNLOAD = Card(
    "GBY-T106",
    "Provider could not be downloaded",
    "The registry answered, and the package or its checksums could not be fetched.",
    "Run again; releases come from another host than the registry's list, which a firewall must let pass too. "
    f"{_MIRROR}",
    (
        # hashicorp/terraform#31521, snowflakedb/terraform-provider-snowflake#4861
        r"failed to retrieve authentication checksums for provider",
        r"Error while installing [\w./-]+ v[\w.+-]+: .{0,300}(?:could not query provider registry|Get \"https?://|"
        r"bad response|unexpected EOF|Bad Gateway|timeout)",
        r"Failed to install provider",
    ),
    LATER,
)
PLATFORM = Card(
    "GBY-T107",
    "Provider has no package for this platform",
    "The version that is asked for is not there for {platform}, in the registry or in the mirror.",
    "Take another terraform.provider_version; a mirror is filled for a platform with `terraform providers mirror "
    "-platform={platform} DIR`.",
    (
        # Terraform 1.11; picatz/terraform-google-nomad#58
        r"does not have a package available for your current platform, (?P<platform>[a-z0-9]+_[a-z0-9]+)",
        r"Incompatible provider version",
    ),
)
NOT_STARTED = Card(
    "GBY-T108",
    "Provider cannot be started",
    "The provider's file is there and does not run: of another platform, damaged, not executable, or on a disk that "
    "is mounted noexec.",
    "Delete .terraform in the work_dir (and the copy in TF_PLUGIN_CACHE_DIR or the mirror), then `{init_command}`.",
    (
        # Terraform 1.11 with a provider that is no program, and with one that ends at once
        r"failed to instantiate provider .{0,400}(?:exec format error|permission denied|no such file|text file busy)",
        r"Failed to read any lines from plugin's stdout|Unrecognized remote plugin message",
        r"timeout while waiting for plugin to start",
    ),
)
CRASHED = Card(
    "GBY-T109",
    "Provider crashed",
    "The provider ended in the middle of its work: a fault of the provider, or it was killed for want of memory.",
    "Run again. If it stays so, look for `panic:` in the log, give the machine more memory (1 GB for the AWS "
    "provider), or take another terraform.provider_version.",
    (
        # hashicorp/terraform#34657, hashicorp/terraform-provider-aws#44855
        r"Plugin did not respond|and failed to respond to the plugin6?\.\(\*GRPCProvider\)",
        r"rpc error: code = Unavailable desc = (?:transport is closing|error reading)",
        r"Request cancelled .{0,100}plugin6?\.\(\*GRPCProvider\)",
        r"Stack trace from the terraform-provider-",
    ),
    LATER,
)
MEMORY = Card(
    "GBY-T110",
    "Killed, as when memory runs out",
    "The operating system ended the process (SIGKILL), which it does to the largest one when memory runs out.",
    "Give the machine or the container more memory (2 GB for Terraform with the AWS provider); `dmesg` or the "
    "container's state (OOMKilled) says whether that was it.",
    (
        r"\bended by SIGKILL\b|\bsignal: killed\b|\bOOMKilled\b",
        r"runtime: out of memory|cannot allocate memory",
    ),
)

PROVIDERS = (
    DISK, MIRROR_DOWN, CHECKSUM, NO_VERSION, PLATFORM, MEMORY, NOT_STARTED, CRASHED, DOWNLOAD, REGISTRY,
)  # fmt: skip
"""Those that any failed installation would match come last."""
