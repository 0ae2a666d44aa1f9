"""The page as one HTML file: our own templates, everything printed escaped, no script, no network."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2

from gridbyoc.show.page import tables
from gridbyoc.show.page.graph import narrow, wide
from gridbyoc.show.page.overview import next_step, tiles
from gridbyoc.show.page.words import shown
from gridbyoc.show.plain import duration
from gridbyoc.stack.words import instant, minute
from gridbyoc.steps.page.model import Page, PastRun

GENERATOR = "gridbyoc report"
"""What the file's ``meta name=generator`` says: a file without it is not one of ours."""

STYLES = "report/page.css"
LATEST = 3
"""Runs whose steps are shown."""


def page_html(page: Page, templates: Path) -> str:
    """The page as text; ``templates`` is the directory of the program's templates. Holds none of ``page.secrets``."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=shown(page.secrets),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    styles = environment.get_template(STYLES).render()
    return environment.get_template("report/page.html.j2").render(_content(page), style_hash=_hash(styles))


def is_page(text: str) -> bool:
    """Whether ``text`` begins as a page of ours does."""
    return f'<meta name="generator" content="{GENERATOR}">' in text[:1000]


def _hash(styles: str) -> str:
    """What the page's policy lets in: this style sheet, and nothing else (CSP level 2, hash source)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(styles.encode()).digest()).decode()


def _content(page: Page) -> dict[str, Any]:
    stack, status = page.stack, page.status.value
    account = page.proof.value.role.account_id if page.proof.value else stack.aws.account_id
    known = status is not None and "control plane" not in status.unknown
    return {
        "page": page,
        "stack": stack,
        "generator": GENERATOR,
        "account": account or "not known",
        "made": minute(page.made),
        "tiles": tiles(page),
        "next_step": next_step(page),
        "status": status,
        "drawings": (wide(page.granted), narrow(page.granted)),
        "people": tables.people_table(page.granted),
        "policies": tables.policy_table(page.granted),
        "clusters": tables.cluster_table(stack, status.clusters if status else (), known=known),
        "costs": tables.cost_sentences(stack),
        "runs": [_run(run) for run in page.history[:LATEST]],
        **_findings(page),
        "drift": tables.drift_table(page.drift.value) if page.drift.value and not page.drift.value.none else None,
        "history": tables.history_table(page.history),
        "earlier": max(len(page.history) - tables.MOST_RUNS, 0),
    }


def _findings(page: Page) -> dict[str, Any]:
    found = page.findings.value or ()
    proven = page.proof.value.findings if page.proof.value else ()
    open_checks = [each for each in found if each.verdict != "pass"]
    passed = [each for each in found if each.verdict == "pass"]
    open_proof = [each for each in proven if each.verdict != "pass"]
    held = [each for each in proven if each.verdict == "pass"]
    return {
        "checks_open": tables.findings_table("Checks that want a look", open_checks),
        "checks_passed": tables.passes_table(passed),
        "proof_open": tables.proof_table("Questions that want a look", open_proof, todo=True),
        "proof_held": tables.proof_table("Questions that are answered well", held, todo=False),
    }


def _run(run: PastRun) -> dict[str, Any]:
    word, sign = tables.ended(run)
    took = "" if run.seconds is None else duration(run.seconds)
    return {
        "verb": run.verb, "began": instant(run.began), "took": took, "word": word, "sign": sign,
        "steps": tables.steps_table(run),
    }  # fmt: skip
