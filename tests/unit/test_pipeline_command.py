"""``gridbyoc pipeline``: what it refuses, what it says, what it leaves alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridbyoc import ON_PYPI, __version__
from gridbyoc.cli.pipeline import pipeline
from gridbyoc.cli.pipeline_check import unknown_calls
from gridbyoc.errors import FileError, UsageError
from gridbyoc.render.pipelines import ENGINES, default_source
from tests.unit.test_stack_commands import Outside

IN_S3 = "terraform: {backend: {s3: {bucket: acme-states, key: ml, region: us-east-1}}}\n"
STACK = "version: 1\nname: ml\naws: {region: eu-west-1}\nclusters: [{name: ml, instance_types: [t2.medium]}]\n"


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    (tmp_path / "gridbyoc.yaml").write_text(STACK + IN_S3)
    return Outside(tmp_path)


def refused(outside: Outside, *args: str) -> str:
    error = outside.run(pipeline, *args).exception
    assert isinstance(error, UsageError), error
    assert error.fix
    return f"{error.what} {error.why} {error.fix}"


def test_a_local_state_is_no_state_for_jobs(outside: Outside) -> None:
    (outside.cwd / "local.yaml").write_text(STACK)
    for engine in ("github", "gitlab", "jenkins", "argo"):
        assert "gridbyoc state init local.yaml" in refused(outside, engine, "local.yaml")
    assert sorted(path.name for path in outside.cwd.iterdir()) == ["gridbyoc.yaml", "local.yaml"]
    assert outside.run(pipeline, "make", "local.yaml").exception is None


@pytest.mark.parametrize(
    "args,said",
    [
        (("github", "../gridbyoc.yaml"), "leaves the current directory"),
        (("github", "-"), "cannot be used in a pipeline"),
        (("github", "a b.yaml"), "cannot be used in a pipeline"),
        (("github", "a\0b.yaml"), "cannot be used in a pipeline"),
        (("github", "--check", "--out", "-"), "cannot be checked"),
        (("github", "--child", "apply", "--out", "-"), "--child has no effect on github"),
        (("gitlab", "--child", "apply"), "Add --out -"),
        (("make", "--branch", "x"), "--branch has no effect on make"),
        (("argo", "--runner", "x"), "--runner has no effect on argo"),
        (("gitlab", "--branch", "a*"), "--branch 'a*' cannot be used"),
        (("gitlab", "--version-spec", "1.0"), "--version-spec '1.0' cannot be used"),
        (("gitlab", "--version-spec", "==1.0", "--install-from", "gridbyoc-1.0-py3-none-any.whl"), "two versions"),
        (("gitlab", "--install-from", "gridbyoc"), "--install-from 'gridbyoc' cannot be used"),
        (("make", "--install-from", "gridbyoc-1.0-py3-none-any.whl"), "--install-from has no effect on make"),
        (("gitlab", "--drift-schedule", "@daily"), "five fields of cron"),
    ],
)
def test_what_is_refused_says_why(outside: Outside, args: tuple[str, ...], said: str) -> None:
    assert said in refused(outside, *args)
    assert [path.name for path in outside.cwd.iterdir()] == ["gridbyoc.yaml"]


def test_jobs_install_a_wheel_of_the_repository_until_gridbyoc_is_published(outside: Outside) -> None:
    wheel = "wheels/gridbyoc-1.0-py3-none-any.whl"
    assert [default_source("1.0", on_pypi=published) for published in (False, True)] == [wheel, ""]
    named = {
        (): f"./wheels/gridbyoc-{__version__}-py3-none-any.whl[embedded]",
        ("--version-spec", "==1.0"): "gridbyoc[embedded]==1.0",
        ("--install-from", "git+https://git.example.com/g@v1"): "gridbyoc[embedded] @ git+https://git.example.com/g@v1",
    }
    for args, requirement in named.items():
        if args or not ON_PYPI:
            outside.run(pipeline, "gitlab", *args)
            text = (outside.cwd / ".gitlab-ci.gridbyoc.yml").read_text()
            assert f'GRIDBYOC_REQUIREMENT: "{requirement}"' in text


def test_a_wheel_that_is_not_there_yet_is_told(outside: Outside) -> None:
    wheel = outside.cwd / "wheels" / "gridbyoc-1.0-py3-none-any.whl"
    asked = ("--install-from", "wheels/gridbyoc-1.0-py3-none-any.whl")
    outside.run(pipeline, "jenkins", *asked)
    assert "make build" in outside.err.getvalue()
    wheel.parent.mkdir()
    wheel.touch()
    for args in (asked, ("--version-spec", "==1.0"), ("--install-from", "git+https://git.example.com/g@v1")):
        outside.run(pipeline, "jenkins", *args)
        assert outside.err.getvalue() == ""


def test_a_profile_is_warned_of(outside: Outside) -> None:
    file = outside.cwd / "gridbyoc.yaml"
    file.write_text(file.read_text().replace("region: eu-west-1", "region: eu-west-1, profile: ada"))
    assert outside.run(pipeline, "gitlab").exception is None
    assert "AWS profile ada, which the jobs do not have" in outside.err.getvalue()


def test_where_the_file_goes_and_what_its_head_says(outside: Outside) -> None:
    (outside.cwd / "dir").mkdir()
    for out, file in ((None, ".github/workflows/gridbyoc.yml"), ("dir", "dir/.github/workflows/gridbyoc.yml"),
                      ("new/", "new/.github/workflows/gridbyoc.yml"), ("deep/er/x.yml", "deep/er/x.yml")):  # fmt: skip
        outside.run(pipeline, "github", "--branch", "trunk", "--format", "json", *(["--out", out] if out else []))
        assert outside.json() == {"type": "pipeline", "file": file, "changed": True, "text": None}
        head = (outside.cwd / file).read_text().splitlines()[1]
        assert head == "# Again: gridbyoc pipeline github --branch=trunk"
    outside.run(pipeline, "github", "--branch", "trunk", "--check", "--out", "deep/er/x.yml", "--format", "json")
    same = {"differs": False, "works": True, "faults": [], "version": __version__}
    assert outside.json() == {"type": "pipeline_check", "file": "deep/er/x.yml", **same}


def test_a_file_that_cannot_be_read_or_made_is_told(outside: Outside) -> None:
    (outside.cwd / "make").write_text("a file")
    assert isinstance(outside.run(pipeline, "make").exception, FileError)
    (outside.cwd / "Jenkinsfile.gridbyoc").mkdir()
    assert isinstance(outside.run(pipeline, "jenkins").exception, FileError)
    (outside.cwd / ".gitlab-ci.gridbyoc.yml").write_bytes(b"\xff\xfe not ours")
    assert "was not written by" in refused(outside, "gitlab")
    assert (outside.cwd / ".gitlab-ci.gridbyoc.yml").read_bytes() == b"\xff\xfe not ours"


FILES = {
    "github": ".github/workflows/gridbyoc.yml", "gitlab": ".gitlab-ci.gridbyoc.yml", "jenkins": "Jenkinsfile.gridbyoc",
    "argo": "argo/gridbyoc.yaml",
}  # fmt: skip
OLD = Path(__file__).parent.parent / "data" / "pipelines"


def put(outside: Outside, engine: str, text: str) -> None:
    file = outside.cwd / FILES[engine]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def checked(outside: Outside, engine: str, *args: str) -> tuple[int, dict[str, Any]]:
    outside.out.truncate(0)
    outside.out.seek(0)
    result = outside.run(pipeline, engine, "stacks", "--check", "--format", "json", *args)
    assert result.exception is None, result.exception
    return int(result.return_value), outside.json()


@pytest.fixture
def platform(outside: Outside) -> Outside:
    """The stack for which the older files were written."""
    (outside.cwd / "stacks").mkdir()
    (outside.cwd / "stacks" / "ml-prod.yaml").write_text(STACK + IN_S3)
    return outside


@pytest.mark.parametrize("file", sorted(OLD.glob("*/*.txt")), ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_file_of_an_older_version_still_works_until_a_stack_is_added(platform: Outside, file: Path) -> None:
    engine, version = file.stem, file.parent.name
    put(platform, engine, file.read_text())
    status, found = checked(platform, engine)
    assert (status, found["differs"], found["works"], found["version"]) == (3, True, True, version), found
    # its commands are this version's as well, so that its version may be raised in it
    assert unknown_calls(ENGINES[engine], file.read_text()) == ()
    put(platform, engine, file.read_text().replace(f"=={version}", f"=={__version__}"))
    assert checked(platform, engine)[1]["works"] is True
    # what it lists is all that it runs
    (platform.cwd / "stacks" / "new.yaml").write_text((STACK + IN_S3).replace("ml", "new"))
    status, found = checked(platform, engine)
    assert (status, found["faults"]) == (1, ["new (stacks/new.yaml) is not in it"])
    (platform.cwd / "stacks" / "ml-prod.yaml").unlink()
    assert "stacks/ml-prod.yaml is in it, and does not exist" in checked(platform, engine)[1]["faults"]


def test_what_keeps_a_file_from_working_is_said(platform: Outside) -> None:
    platform.run(pipeline, "github", "stacks")
    written = (platform.cwd / FILES["github"]).read_text()
    assert checked(platform, "github")[0] == 0
    other = ("--version-spec", "==0.6.0")
    platform.run(pipeline, "github", "stacks", *other, "--out", "other.yml")
    same = {"differs": False, "works": True, "faults": [], "version": "0.6.0"}
    assert checked(platform, "github", *other, "--out", "other.yml")[1] == {
        "type": "pipeline_check", "file": "other.yml", **same,
    }  # fmt: skip
    # a new stack file changes nothing
    (platform.cwd / "stacks" / "new.yaml").write_text((STACK + IN_S3).replace("ml", "new"))
    assert checked(platform, "github")[0] == 0
    assert checked(platform, "github", "--branch", "trunk")[0] == 3
    for old, new, fault in (
        ("gridbyoc drift ", "gridbyoc wander ", "`gridbyoc wander`"),
        ("--skip permissions --report", "--skip permissions --rapport", "`gridbyoc plan --rapport`"),
        ("fleet matrix ", "fleet mattress ", "`gridbyoc fleet mattress`"),
        ("GRID_API_KEY", "OTHER_KEY", "do not get GRID_API_KEY"),
    ):
        put(platform, "github", written.replace(old, new))
        status, found = checked(platform, "github")
        assert (status, len(found["faults"])) == (1, 1), found
        assert fault in found["faults"][0]
    for unknown in (written.replace(f"{__version__}", "99.0"), "on: push\n"):
        put(platform, "github", unknown)
        status, found = checked(platform, "github")
        assert (status, found["works"], found["faults"]) == (3, None, [])
    (platform.cwd / FILES["github"]).unlink()
    assert checked(platform, "github")[0] == 3


def test_a_jenkinsfile_that_lacks_a_key_does_not_work(platform: Outside) -> None:
    """Jenkins has no optional credentials: a file has those of the control planes in use when it was written."""
    platform.run(pipeline, "jenkins", "stacks")
    other = (STACK + IN_S3).replace("ml", "new") + "control_plane: {type: lightning, url: https://x.example}\n"
    (platform.cwd / "stacks" / "new.yaml").write_text(other)
    status, found = checked(platform, "jenkins")
    assert status == 1
    assert found["faults"] == [f"its jobs do not get {name}" for name in ("LIGHTNING_API_KEY", "LIGHTNING_CLOUD_URL")]


def test_one_name_twice_is_refused(platform: Outside) -> None:
    (platform.cwd / "more").mkdir()
    (platform.cwd / "more" / "x.yaml").write_text((STACK + IN_S3).replace("key: ml", "key: other"))
    assert "too similar: ml (more/x.yaml), ml (stacks/ml-prod.yaml)" in refused(platform, "github", "stacks", "more")
    (platform.cwd / "more" / "x.yaml").write_text((STACK + IN_S3).replace("name: ml", "name: other"))
    assert "the same state" in refused(platform, "github", "stacks", "more")
