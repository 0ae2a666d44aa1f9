"""Has the account room for the clusters that are to be made?"""

from __future__ import annotations

from collections.abc import Iterator

from gridbyoc.stack.service_quotas import ON_DEMAND, SPOT, vcpu_quota
from gridbyoc.steps.preflight.model import Check, Finding
from gridbyoc.steps.preflight.quota_kinds import BY_CODE, KINDS, VCPUS
from gridbyoc.steps.preflight.scene import Scene
from gridbyoc.steps.quotas.review import QuotaRow
from gridbyoc.steps.quotas.scene import quota_rows, wanted_types
from gridbyoc.steps.quotas.words import fix_words, needed_words, quota_facts, read_words


def _look(scene: Scene) -> Iterator[Finding]:
    for row in quota_rows(scene):
        if row.quota.market or row.quota.code in BY_CODE:
            yield quota_finding(row)
    if scene.stack is None:
        return
    for name in wanted_types(scene):
        for market in (ON_DEMAND, SPOT):
            if vcpu_quota(name, market) is None:
                read = f"AWS names no {market} quota that {name} counts against"
                fix = "Look for it among EC2's quotas in the console of Service Quotas."
                yield Finding(VCPUS[market], "unknown", read, fix=fix, subject=name, facts={"region": scene.region})


def quota_finding(row: QuotaRow) -> Finding:
    """A quota's row as a finding; its numbers are the facts."""
    quota = row.quota
    return Finding(
        VCPUS[quota.market] if quota.market else BY_CODE[quota.code],
        row.verdict,
        read_words(row),
        needed_words(row),
        fix_words(row),
        source=", ".join(dict.fromkeys(filter(None, (row.reading.limit.source, quota.counted)))),
        subject=quota.family_group,
        facts=quota_facts(row),
    )


CHECKS = (Check(KINDS, _look),)
