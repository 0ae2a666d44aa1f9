"""Has the account room for the clusters that are to be made?"""

from __future__ import annotations

from collections.abc import Iterator

from gridbyoc.steps.preflight.model import Check, Finding
from gridbyoc.steps.preflight.quota_kinds import BY_CODE, KINDS, VCPUS
from gridbyoc.steps.preflight.scene import Scene
from gridbyoc.steps.quotas.review import QuotaRow
from gridbyoc.steps.quotas.scene import quota_rows, without_quota
from gridbyoc.steps.quotas.words import NO_QUOTA, fix_words, needed_words, no_quota_words, quota_facts, read_words


def _look(scene: Scene) -> Iterator[Finding]:
    rows = quota_rows(scene)
    if all(row.limit is None and row.in_use is None for row in rows):
        scene.caller()  # where there are no credentials, that is what there is to say
    for row in rows:
        if row.quota.market or row.quota.code in BY_CODE:
            yield quota_finding(row)
    for name, market in without_quota(scene):
        facts = {"region": scene.region}
        yield Finding(VCPUS[market], "unknown", no_quota_words(name, market), fix=NO_QUOTA, subject=name, facts=facts)


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
