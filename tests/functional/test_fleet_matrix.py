"""``gridbyoc fleet matrix`` on real Git repositories: what changed, spread over shards, in each engine's form."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from gridbyoc.cli.app import App
from gridbyoc.cli.fleet import matrix
from gridbyoc.errors import StackError, UsageError
from gridbyoc.operations.fleet.matrix import Changes, Shipped
from gridbyoc.operations.fleet.model import Member


class Repository:
    """A Git repository with stacks ``a`` (a base and a module), ``b`` and ``c``."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.err = ""
        self.top.mkdir(exist_ok=True)
        self.git("init", "--quiet", "--initial-branch", "main")
        self.put("base.yaml", "role: {tags: {team: ml}}\n")
        self.put("mod/main.tf", "# nothing\n")
        module = "terraform: {module: {source: ../mod}}\n"
        self.put("a/stack.yaml", f"version: 1\nextends: ../base.yaml\nname: a\nclusters: [{{name: a}}]\n{module}")
        for name in "bc":
            self.put(f"{name}/stack.yaml", f"version: 1\nname: {name}\nclusters: [{{name: {name}}}]\n")
        self.commit()

    def git(self, *args: str) -> str:
        named = ("-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *named, *args], cwd=self.top, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def put(self, path: str, text: str) -> None:
        (self.top / path).parent.mkdir(parents=True, exist_ok=True)
        (self.top / path).write_text(text)

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "x")
        return self.git("rev-parse", "HEAD")

    def run(self, *args: str, cwd: str = ".", environ: dict[str, str] | None = None) -> str:
        out, err = io.StringIO(), io.StringIO()
        here = self.top / cwd
        app = App(environ=environ or {}, home=here, cwd=here, stdin=io.StringIO(), stdout=out, stderr=err)
        result = CliRunner().invoke(matrix, list(args), obj=app, standalone_mode=False)
        if result.exception:
            raise result.exception
        self.err = err.getvalue()
        return out.getvalue()

    def changed(self, *args: str, cwd: str = ".") -> list[str]:
        found = json.loads(self.run("--since", "HEAD", *args, cwd=cwd))
        return sorted(stack["name"] for shard in found["shards"] for stack in shard["stacks"])


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_nothing_changed(repository: Repository) -> None:
    assert repository.changed() == []
    assert repository.run("--since", "HEAD", "--for", "github") == 'matrix={"include":[]}\ncount=0\n'
    assert repository.run("--since", "HEAD", "--for", "argo") == "[]\n"
    pipeline = YAML(typ="safe").load(repository.run("--since", "HEAD", "--for", "gitlab"))
    assert list(pipeline) == ["gridbyoc"]
    assert "parallel" not in pipeline["gridbyoc"]


@pytest.mark.parametrize(
    "path, names",
    [
        ("b/stack.yaml", ["b"]),
        ("base.yaml", ["a"]),
        ("mod/main.tf", ["a"]),
        ("mod/deep/x.tf.j2", []),
        ("README.md", []),
    ],
)
def test_a_file_that_changed_in_the_working_tree(repository: Repository, path: str, names: list[str]) -> None:
    known = (repository.top / path).exists()
    old = (repository.top / path).read_text() if known else ""
    repository.put(path, old + "# more\n")
    assert repository.changed() == names
    assert repository.changed(cwd="c") == []  # below the current directory there is nothing of it
    assert repository.changed(".", "../a", "../b", cwd="c") == names


def test_stacks_of_another_repository_are_refused(
    repository: Repository, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = Repository(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(UsageError, match="None of the stacks"):
        repository.run(str(elsewhere.top), "--since", "HEAD")


def test_what_git_does_not_know_yet_counts_where_that_is_asked_for(repository: Repository) -> None:
    repository.put("mod/new.tf", "")
    repository.put("d/stack.yml", "version: 1\nname: d\nclusters: [{name: d}]\n")
    assert repository.changed() == []
    assert repository.changed("--untracked") == ["a", "d"]
    with pytest.raises(UsageError, match="needs --since"):
        repository.run("--untracked")


def test_since_a_branch_means_since_it_parted(repository: Repository) -> None:
    repository.git("checkout", "--quiet", "-b", "mine")
    repository.put("b/stack.yaml", "version: 1\nname: b\nclusters: [{name: b}, {name: b2}]\n")
    repository.commit()
    repository.git("checkout", "--quiet", "main")
    repository.put("c/stack.yaml", "version: 1\nname: c\nclusters: [{name: c}, {name: c2}]\n")
    repository.commit()
    repository.git("checkout", "--quiet", "mine")
    found = json.loads(repository.run("--since", "main"))
    assert [shard["name"] for shard in found["shards"]] == ["b"]
    assert (found["total"], found["stacks"]) == (3, 1)


def test_deleted_stacks_are_told_and_a_deleted_base_is_a_change(repository: Repository) -> None:
    before = repository.git("rev-parse", "HEAD")
    repository.put("notes/plain.yaml", "some: thing\n")
    repository.git("rm", "--quiet", "b/stack.yaml", "base.yaml")
    repository.commit()
    found = json.loads(repository.run("--since", before))
    assert found["deleted"] == ["b/stack.yaml"]
    assert [shard["name"] for shard in found["shards"]] == ["a"]
    assert "warning: b/stack.yaml was deleted" in repository.err
    for paths, gone in ((("a", "b"), ["b/stack.yaml"]), (("*/stack.yaml",), ["b/stack.yaml"]), (("a", "c"), [])):
        (repository.top / "b").mkdir(exist_ok=True)
        assert json.loads(repository.run(*paths, "--since", before))["deleted"] == gone
    repository.git("rm", "--quiet", "a/stack.yaml", "c/stack.yaml")
    assert json.loads(repository.run("--since", before))["shards"] == []


def test_a_link_to_a_base_elsewhere_in_the_repository(repository: Repository) -> None:
    (repository.top / "b/base.yaml").symlink_to("../base.yaml")
    repository.put("b/stack.yaml", "version: 1\nname: b\nextends: base.yaml\nclusters: [{name: b}]\n")
    repository.commit()
    repository.put("base.yaml", "role: {tags: {team: other}}\n")
    assert repository.changed() == ["a", "b"]


def test_a_revision_that_is_not_there_and_no_repository(
    repository: Repository, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for revision in ("nowhere", "--upload-pack=x", "HEAD~99"):
        with pytest.raises(UsageError, match="no revision"):
            repository.run(f"--since={revision}")
    outside = tmp_path_factory.mktemp("outside")
    (outside / "stack.yaml").write_text("version: 1\nname: x\nclusters: [{name: x}]\n")
    repository.top = outside
    with pytest.raises(UsageError, match="git rev-parse"):
        repository.run("--since", "HEAD", environ={"GIT_CEILING_DIRECTORIES": str(outside.parent)})


def of_another_user(directory: Path) -> dict[str, str]:
    """Give ``directory`` to uid 1000, as in a container; without root, make Git believe so. Returns the environment."""
    home = directory.parent / f"{directory.name}-home"
    home.mkdir()
    for path in (directory, *directory.rglob("*")) if os.geteuid() == 0 else ():
        os.chown(path, 1000, 1000, follow_symlinks=False)
    other = {} if os.geteuid() == 0 else {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    return {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", **other}


def advised(refused: UsageError, environ: dict[str, str]) -> str:
    """Run the command that an error advises, as a person would paste it."""
    _, _, command = refused.fix.partition("call: ")
    subprocess.run(shlex.split(command), env=environ, check=True)
    return command


def test_gits_own_advice_about_a_checkout_of_another_user_is_passed_on(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    repository = Repository(tmp_path_factory.mktemp("scratch") / "checkout")
    environ = of_another_user(repository.top)
    with pytest.raises(UsageError, match="rev-parse") as refused:
        repository.run("--since", "HEAD", environ=environ)
    assert refused.value.why == f"fatal: detected dubious ownership in repository at '{repository.top}'"
    assert advised(refused.value, environ) == f"git config --global --add safe.directory {repository.top}"
    assert json.loads(repository.run("--since", "HEAD", environ=environ))["shards"] == []


def test_the_forms_of_the_engines(repository: Repository) -> None:
    line, count = repository.run("--shards", "2", "--for", "github").splitlines()
    entries = [{"name": "1 of 2", "stack": "a/stack.yaml c/stack.yaml"}, {"name": "2 of 2", "stack": "b/stack.yaml"}]
    assert json.loads(line.removeprefix("matrix=")) == {"include": entries}
    assert count == "count=2"
    assert json.loads(repository.run("--shards", "2", "--for", "argo")) == entries
    job = YAML(typ="safe").load(repository.run("--for", "gitlab", "--verb", "plan"))["gridbyoc"]
    assert job["parallel"]["matrix"] == [{"NAME": name, "STACK": f"{name}/stack.yaml"} for name in "abc"]
    assert job["script"] == ["gridbyoc fleet plan $STACK"]


def test_paths_that_a_shell_would_split_and_too_many_jobs(repository: Repository) -> None:
    repository.put("d e/$(x).yaml", "version: 1\nname: d\nclusters: [{name: d}]\n")
    for engine in ("github", "gitlab", "argo"):
        with pytest.raises(UsageError, match="cannot be passed"):
            repository.run("--for", engine)
    assert "d e/$(x).yaml" in repository.run("--for", "json")
    for number in range(260):
        repository.put(f"many/{number}.yaml", f"version: 1\nname: m{number}\nclusters: [{{name: x}}]\n")
    for engine, most in (("github", "256"), ("gitlab", "200")):
        with pytest.raises(UsageError, match=most):
            repository.run("many", "--for", engine)
    assert len(json.loads(repository.run("many", "--for", "argo", "--shards", "7"))) == 7


def test_a_submodule_counts_as_a_whole(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Git names the submodule's directory alone, whatever changed in it."""
    shared = Repository(tmp_path_factory.mktemp("shared"))
    allowed = ("-c", "protocol.file.allow=always")
    repository.git(*allowed, "submodule", "--quiet", "add", str(shared.top), "vendor")
    module = "terraform: {module: {source: ../vendor/mod}}\n"
    repository.put("b/stack.yaml", f"version: 1\nname: b\nclusters: [{{name: b}}]\n{module}")
    repository.put("c/stack.yaml", "version: 1\nextends: ../vendor/base.yaml\nname: c\nclusters: [{name: c}]\n")
    repository.commit()
    shared.put("mod/main.tf", "# more\n")
    shared.commit()
    repository.git("-C", "vendor", *allowed, "pull", "--quiet")
    assert repository.changed("a", "b", "c") == ["b", "c"]


def test_in_a_repository_that_holds_this_program_its_module_and_templates_count(tmp_path: Path) -> None:
    shipped = Shipped(tmp_path / "tool" / "modules" / "gridbyoc", (tmp_path / "tool" / "templates" / "main.tf.j2",))
    ours = Member("a", tmp_path / "a.yaml", "a.yaml", "a", (tmp_path / "a.yaml",))
    own_module = replace(ours, modules=(tmp_path / "mod",))
    for path, touched in (
        ("tool/modules/gridbyoc/main.tf", [ours]),
        ("tool/templates/main.tf.j2", [ours, own_module]),
        ("tool/templates/pipelines/github.j2", []),
        ("mod/main.tf", [own_module]),
        ("tool", [ours, own_module]),
    ):
        changes = Changes(tmp_path, frozenset({path}), (), shipped)
        assert [member for member in (ours, own_module) if changes.touch(member)] == touched, path
    elsewhere = Shipped(Path("/nowhere/modules/gridbyoc"), (Path("/nowhere/templates/main.tf.j2"),))
    assert not Changes(tmp_path, frozenset({"tool"}), (), elsewhere).touch(ours)


REGION = "aws: {region: %s}\n"
STATE = "terraform: {backend: {s3: {bucket: acme-states, key: %s, region: us-east-1}}}\n"


def put_for_jobs(repository: Repository, name: str, file: str = "", region: str = "us-west-2", more: str = "") -> None:
    text = f"version: 1\nname: {name}\nclusters: [{{name: {name}, instance_types: [t2.medium]}}]\n{more}"
    repository.put(f"jobs/{file or name}.yaml", text + REGION % region + STATE % name)


def test_what_the_jobs_of_a_pipeline_need_of_each_stack(repository: Repository) -> None:
    put_for_jobs(repository, "one")
    put_for_jobs(repository, "two", region="cn-north-1")
    put_for_jobs(repository, "three", more="control_plane: {type: lightning}\n")
    environments = {"GRIDBYOC_ENVIRONMENTS": '{"two": "china", "gone": "x"}'}
    text = repository.run("jobs", "--per-stack", "--for", "github", environ=environments)
    matrix, count = (line.partition("=")[2] for line in text.splitlines())
    assert count == "3"
    found = {each["name"]: each for each in json.loads(matrix)["include"]}
    assert found["one"] == {
        "name": "one", "file": "jobs/one.yaml", "region": "us-west-2", "audience": "sts.amazonaws.com",
        "control_plane": "grid", "environment": "production",
    }  # fmt: skip
    assert (found["two"]["environment"], found["two"]["audience"]) == ("china", "sts.amazonaws.com.cn")
    assert found["three"]["control_plane"] == "lightning"
    assert repository.run("jobs", "--per-stack", "--stack", "two", "--for", "shell") == (
        "two jobs/two.yaml cn-north-1 grid\n"
    )
    assert json.loads(repository.run("jobs", "--per-stack", "--stack", "one", "--for", "argo")) == [found["one"]]
    assert len(json.loads(repository.run("jobs", "--per-stack"))["stacks"]) == 3
    with pytest.raises(UsageError, match="no stack 'tow'"):
        repository.run("jobs", "--per-stack", "--stack", "tow")


@pytest.mark.parametrize("environments", ["{", "[]", '{"one": 1}', '{"one": "a b"}', '{"one": "x\\nregion=y"}'])
def test_a_setting_that_no_environment_can_have_is_refused(repository: Repository, environments: str) -> None:
    put_for_jobs(repository, "one")
    with pytest.raises(UsageError, match=r"GRIDBYOC_ENVIRONMENTS|The environment"):
        repository.run("jobs", "--per-stack", environ={"GRIDBYOC_ENVIRONMENTS": environments})


def test_stacks_that_jobs_cannot_tell_apart_are_refused(repository: Repository) -> None:
    """A pull request adds a stack file: with another stack's name, state or none, it gets none of that one's jobs."""
    put_for_jobs(repository, "one")
    new = "version: 1\nname: {}\nclusters: [{{name: x, instance_types: [t2.medium]}}]\n"
    repository.put("jobs/new.yaml", new.format("one.x") + REGION % "us-west-2" + STATE % "new")
    assert repository.run("jobs", "--per-stack", "--for", "github").count("\n") == 2
    for name in ("one", "$(id)", "..", 'x"\ncount=9\nmatrix={}', "${{ github.token }}"):
        repository.put("jobs/new.yaml", new.format(json.dumps(name)) + REGION % "us-west-2" + STATE % "new")
        with pytest.raises((UsageError, StackError)):
            repository.run("jobs", "--per-stack", "--for", "github")
    put_for_jobs(repository, "x", file="new", region="us-east-1.example.com/#")
    with pytest.raises(StackError):
        repository.run("jobs", "--per-stack", "--for", "github")
    repository.put("jobs/new.yaml", "version: 1\nname: new\nclusters: [{name: new, instance_types: [t2.medium]}]\n")
    with pytest.raises(UsageError, match="state of the stack new is local"):
        repository.run("jobs", "--per-stack", "--for", "github")


def test_more_stacks_than_github_runs_in_one_matrix_are_refused_with_what_to_do(repository: Repository) -> None:
    for number in range(257):
        repository.put(f"jobs/{number}.yaml", f"version: 1\nname: s{number}\nclusters: [{{name: x}}]\n")
    with pytest.raises(UsageError, match=r"257 stacks are more than github allows") as refused:
        repository.run("jobs", "--per-stack", "--for", "github")
    assert "gridbyoc pipeline github PATH --out FILE" in refused.value.fix
    for args, said in (
        (("--per-stack", "--shards", "3"), "cannot go together"),
        (("--for", "shell"), "needs --per-stack"),
        (("--for", "gitlab", "--per-stack"), "no effect on gitlab"),
    ):
        with pytest.raises(UsageError, match=said):
            repository.run("jobs", *args)
