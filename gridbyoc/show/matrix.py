"""A matrix in the forms that CI engines read."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.stack.words import json_text
from gridbyoc.steps.fleet.matrix import Matrix, Shard

Engine = Literal["github", "gitlab", "argo", "json"]
MOST_JOBS = {"github": 256, "gitlab": 200}
"""Jobs in one matrix: https://docs.github.com/en/actions/reference/limits,
https://docs.gitlab.com/ci/yaml/#parallelmatrix"""

_PLAIN = re.compile(r"[A-Za-z0-9._/@+=,:-]+")


def matrix_text(matrix: Matrix, engine: Engine, verb: str) -> str:
    """The matrix for ``engine``, without a line feed at its end.

    Raises ``UsageError`` for more jobs than the engine takes, and for a path that a shell would not read as one word.
    """
    if engine == "json":
        return json_text(matrix_object(matrix), indent=2)
    _check(matrix, engine)
    return {"github": _github, "gitlab": _gitlab, "argo": _argo}[engine](matrix, verb)


def matrix_object(matrix: Matrix) -> dict[str, Any]:
    """All that is known, as JSON."""
    shards = [
        {"name": shard.name, "seconds": round(shard.seconds, 3), "stacks": [_stack(shard, i) for i in _range(shard)]}
        for shard in matrix.shards
    ]
    stacks = sum(len(shard.members) for shard in matrix.shards)
    head = {"type": "matrix", "total": matrix.total, "stacks": stacks}
    return head | {"deleted": list(matrix.deleted), "shards": shards}


def _range(shard: Shard) -> range:
    return range(len(shard.members))


def _stack(shard: Shard, index: int) -> dict[str, str]:
    return {"name": shard.members[index].label, "stack": shard.members[index].shown}


def _check(matrix: Matrix, engine: Engine) -> None:
    most = MOST_JOBS.get(engine)
    if most is not None and len(matrix.shards) > most:
        raise UsageError(
            f"{len(matrix.shards)} jobs are more than {engine} takes in one matrix ({most}).",
            fix="Spread the stacks with --shards N.",
            rerun=SAFE_NOTHING_DONE,
        )
    odd = [member.shown for shard in matrix.shards for member in shard.members if not _PLAIN.fullmatch(member.shown)]
    if odd:
        raise UsageError(
            f"The path {odd[0]!r} cannot be handed to a job's script.",
            why="It holds a character that a shell does not take as it is.",
            fix="Rename it, or take --for json and quote it yourself.",
            rerun=SAFE_NOTHING_DONE,
        )


def _entry(shard: Shard) -> dict[str, str]:
    return {"name": shard.name, "stack": " ".join(member.shown for member in shard.members)}


def _github(matrix: Matrix, _verb: str) -> str:
    """Two lines for ``$GITHUB_OUTPUT``: the matrix, and how many jobs it has (an empty one is an error there)."""
    include = json.dumps({"include": [_entry(shard) for shard in matrix.shards]}, separators=(",", ":"))
    return f"matrix={include}\ncount={len(matrix.shards)}"


def _argo(matrix: Matrix, _verb: str) -> str:
    """A list for ``withParam``."""
    return json.dumps([_entry(shard) for shard in matrix.shards], separators=(",", ":"))


def _gitlab(matrix: Matrix, verb: str) -> str:
    """A child pipeline with one job; one that does nothing where no stack is left, since an empty one is an error."""
    flags = {"bootstrap": " --yes", "destroy": " --yes-destroy"}.get(verb, "")
    lines = ["# Written by `gridbyoc fleet matrix --for gitlab`: the child pipeline's jobs."]
    if not matrix.shards:
        return "\n".join([*lines, "gridbyoc:", "  script:", '    - echo "No stack has changed."'])
    lines += ["gridbyoc:", "  script:", f"    - gridbyoc fleet {verb}{flags} $STACK", "  parallel:", "    matrix:"]
    for shard in matrix.shards:
        entry = _entry(shard)
        lines += [f"      - NAME: {json.dumps(entry['name'])}", f"        STACK: {json.dumps(entry['stack'])}"]
    return "\n".join(lines)
