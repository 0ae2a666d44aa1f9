"""Does this machine know what time it is? AWS refuses requests that are signed at another time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from gridbyoc.aws.reach import clock_skew
from gridbyoc.steps.preflight.model import Check, Finding, Kind
from gridbyoc.steps.preflight.scene import Scene

REFUSED = timedelta(minutes=5)
TOO_FAR = timedelta(minutes=1)

CLOCK = Kind(
    "GBY-D004",
    "tools",
    "clock",
    """This machine's clock against AWS's own. Fails from 5 minutes on, where AWS refuses every request, and warns from
    1 minute on.""",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html",
)


def _clock(scene: Scene) -> Iterator[Finding]:
    yield judged_clock(clock_skew(scene.session(), scene.machine.now))


def judged_clock(skew: timedelta) -> Finding:
    """``skew`` is how far AWS is ahead."""
    off = abs(skew)
    seconds = round(off.total_seconds())
    read = f"{seconds} s {'behind' if skew > timedelta(0) else 'ahead of'} AWS" if seconds else "agrees with AWS"
    facts = {"skew_seconds": round(skew.total_seconds())}
    source, needed = "the Date of an answer of STS", "less than 60 s off"
    if off < TOO_FAR:
        return Finding(CLOCK, "pass", read, needed, source=source, facts=facts)
    fix = "Set the clock: `sudo timedatectl set-ntp true` (a container has its host's clock)."
    return Finding(CLOCK, "fail" if off >= REFUSED else "warn", read, needed, fix, source, facts=facts)


CHECKS = (Check((CLOCK,), _clock),)
