"""Write what is generated from the code: the shipped help, the README's copy of it, the tables of codes.

Run with ``make docs``; the suite fails where the files differ from what this writes.
"""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

import gridbyoc
from gridbyoc import errors
from gridbyoc.aws.permissions import PHASES, needs_of
from gridbyoc.cli.explain import of_error
from gridbyoc.cli.main import cli
from gridbyoc.errors.cards import CARDS
from gridbyoc.operations.preflight.catalogue import CHECKS, KINDS
from gridbyoc.operations.verify import QUESTIONS
from gridbyoc.render.pipelines import ENGINES, PipelineSettings, PipelineStack, render_pipeline
from gridbyoc.stack.model import Aws, ControlPlane, Role, S3Backend, Stack, TerraformSettings

ROOT = Path(gridbyoc.__file__).parent.parent


def help_text() -> str:
    """What ``gridbyoc --help`` prints."""
    return CliRunner().invoke(cli, ["--help"], prog_name="gridbyoc").output


def error_table() -> str:
    """A row for each error: code, meaning, exit status."""
    found = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    kinds = sorted((k for k in found if issubclass(k, errors.GridbyocError)), key=lambda kind: kind.code)
    rows = [f"| `{kind.code}` | {of_error(kind).title} | {int(kind.exit_status)} |" for kind in kinds]
    return "\n".join(["| code | means | status |", "|---|---|---|", *rows])


def preflight_page() -> str:
    """A section for each group of checks, a row for each code."""
    groups = dict.fromkeys(kind.group for check in CHECKS for kind in check.kinds)
    sections = [
        "\n".join([f"## {group.capitalize()}", "", "| code | check | means |", "|---|---|---|", *_kind_rows(group)])
        for group in groups
    ]
    return "\n\n".join(sections)


def verify_table() -> str:
    """A row for each finding of ``verify``."""
    rows = [f"| `{each.code}` | {each.asked} | {each.otherwise} |" for each in QUESTIONS]
    return "\n".join(["| code | question | not `pass` |", "|---|---|---|", *rows])


def failures_page() -> str:
    """A section for each failure card, by where the failure comes from."""
    families = {"GBY-A": "AWS", "GBY-C": "The control plane", "GBY-T": "Terraform, providers and the state"}
    parts = []
    for family, heading in families.items():
        parts.append(f"## {heading}")
        for card in (each.filled({}) for each in CARDS if each.code.startswith(family)):
            parts += [
                f"### {card.code}: {card.title}",
                _plain(f"{card.cause[0].upper()}{card.cause[1:]}"),
                f"**Do:** {_plain(card.fix)}",
                f"**Re-run:** {card.rerun}",
            ]
    return "\n\n".join(parts)


def needs_page() -> str:
    """A section for each phase, a row for each action and resource, for a stack that has everything."""
    parts = []
    for phase, title in PHASES.items():
        needs = [need for need in needs_of(EVERYTHING, "PARTITION", "ACCOUNT") if need.phase == phase]
        rows = dict.fromkeys((need.action, need.resource, need.purpose, need.unseen) for need in needs)
        cells = [
            f"| `{action}` | `{resource}` | {purpose}{f' ({unseen})' if unseen else ''} |"
            for action, resource, purpose, unseen in sorted(rows)
        ]
        parts.append("\n".join([f"### {title}", "", "| action | resource | for |", "|---|---|---|", *cells]))
    return "\n\n".join(parts)


EVERYTHING = Stack(
    "NAME",
    Aws("REGION"),
    Role(permissions_boundary="arn:PARTITION:iam::ACCOUNT:policy/BOUNDARY"),
    (),
    ControlPlane(),
    TerraformSettings(S3Backend("BUCKET", "KEY", "REGION", kms_key_id="KEY_ID", dynamodb_table="TABLE")),
)


def _plain(text: str) -> str:
    """Markdown in which a star outside of code is a star."""
    return "`".join(part if odd % 2 else part.replace("*", r"\*") for odd, part in enumerate(text.split("`")))


def _kind_rows(group: str) -> list[str]:
    kinds = [kind for kind in KINDS if kind.group == group]
    return [
        f"| `{k.code}` | {f'[{k.title}]({k.link})' if k.link else k.title} | {' '.join(k.meaning.split())} |"
        for k in kinds
    ]


def pipelines() -> dict[Path, str]:
    """The Make file that ships with the repository, and an example of each engine's file."""
    stack = PipelineStack("ml-prod", "stacks/ml-prod.yaml", "us-west-2")
    settings = PipelineSettings((stack,), f"=={gridbyoc.__version__}")
    examples = ROOT / "examples" / "pipelines"
    found = {
        examples / engine.path.lstrip("."): render_pipeline(engine, settings, [stack.file])
        for engine in ENGINES.values()
    }
    return {**found, ROOT / ENGINES["make"].path: render_pipeline(ENGINES["make"], PipelineSettings((), "==0"))}


def between(text: str, name: str, content: str) -> str:
    """``text`` with what stands between the two ``name`` markers replaced."""
    pattern = rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)"
    return re.sub(pattern, lambda match: match[1] + content + match[2], text, flags=re.DOTALL)


def generated() -> dict[Path, str]:
    """Each file and what it must hold."""
    readme, status = ROOT / "README.md", ROOT / "docs" / "exit-status.md"
    preflight, failures = ROOT / "docs" / "preflight.md", ROOT / "docs" / "failures.md"
    permissions, verify = ROOT / "docs" / "permissions.md", ROOT / "docs" / "verify.md"
    fenced = f"```text\n{help_text().strip()}\n```"
    return {
        ROOT / "gridbyoc" / "cli" / "help.txt": help_text(),
        readme: between(readme.read_text(), "help", fenced),
        failures: between(failures.read_text(), "cards", failures_page()),
        preflight: between(preflight.read_text(), "checks", preflight_page()),
        verify: between(verify.read_text(), "findings", verify_table()),
        permissions: between(permissions.read_text(), "needs", needs_page()),
        status: between(status.read_text(), "codes", error_table()),
        **pipelines(),
    }


if __name__ == "__main__":
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
