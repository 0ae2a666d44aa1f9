"""The region that the environment of a run names, where no stack file does."""

from __future__ import annotations

from collections.abc import Mapping


def own_region(environ: Mapping[str, str], profile: str | None = None) -> str | None:
    """``AWS_REGION``, ``AWS_DEFAULT_REGION``, else the profile's own (default: the one that botocore takes).

    ``None`` where none of them names one, or the profile cannot be read: whoever asks AWS with it says that. Order:
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    """
    named = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    return named or _of_profile(profile)


def _of_profile(profile: str | None) -> str | None:
    # Here: a run whose environment names a region is not to wait for this import.
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        return Session(profile=profile).get_config_variable("region") or None
    except BotoCoreError:
        return None
