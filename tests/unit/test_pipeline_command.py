"""``gridbyoc pipeline``: what it refuses, what it says, what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridbyoc import ON_PYPI, __version__
from gridbyoc.cli.pipeline import pipeline
from gridbyoc.errors import FileError, UsageError
from gridbyoc.render.pipelines import default_source
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
        (("github", "--fleet"), "--fleet has no effect on github"),
        (("make", "--branch", "x"), "--branch has no effect on make"),
        (("argo", "--runner", "x"), "--runner has no effect on argo"),
        (("gitlab", "--branch", "a*"), "--branch 'a*' cannot be used"),
        (("gitlab", "--version-spec", "1.0"), "--version-spec '1.0' cannot be used"),
        (("gitlab", "--version-spec", "==1.0", "--install-from", "gridbyoc-1.0-py3-none-any.whl"), "two versions"),
        (("gitlab", "--install-from", "gridbyoc"), "--install-from 'gridbyoc' cannot be used"),
        (("make", "--install-from", "gridbyoc-1.0-py3-none-any.whl"), "--install-from has no effect on make"),
        (("gitlab", "--drift-schedule", "@daily"), "five fields of cron"),
        (("gitlab", "gridbyoc.yaml", "./gridbyoc.yaml"), "too similar"),
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
    assert outside.json() == {"type": "pipeline_check", "file": "deep/er/x.yml", "differs": False}


def test_a_file_that_cannot_be_read_or_made_is_told(outside: Outside) -> None:
    (outside.cwd / "make").write_text("a file")
    assert isinstance(outside.run(pipeline, "make").exception, FileError)
    (outside.cwd / "Jenkinsfile.gridbyoc").mkdir()
    assert isinstance(outside.run(pipeline, "jenkins").exception, FileError)
    (outside.cwd / ".gitlab-ci.gridbyoc.yml").write_bytes(b"\xff\xfe not ours")
    assert "was not written by" in refused(outside, "gitlab")
    assert (outside.cwd / ".gitlab-ci.gridbyoc.yml").read_bytes() == b"\xff\xfe not ours"
