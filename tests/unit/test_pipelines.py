"""Rendered pipelines: what no value can do to them, and that they are put together as they must be."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st
from ruamel.yaml import YAML

import gridbyoc
from gridbyoc.errors import UsageError
from gridbyoc.render import quoting
from gridbyoc.render.pipelines import (
    ENGINES,
    ChildEvent,
    PipelineSettings,
    PipelineStack,
    is_ours,
    object_name,
    render_child,
    render_pipeline,
)
from gridbyoc.show.fleet import stack_json
from tests.e2e.github_runner import Expression
from tests.e2e.gitlab_runner import holds

ROOT = Path(gridbyoc.__file__).parent.parent
ML = PipelineStack("ml-prod", "stacks/ml.yaml", "us-west-2", environment="production")
WEB = PipelineStack("web.eu", "stacks/web/gridbyoc.yaml", "eu-central-1", "lightning", environment="eu")
ONE = PipelineSettings((ML,), "==0.1.0")
TWO = PipelineSettings(
    (ML, WEB), ">=1.2,<2", "trunk", "eu", "big-runner", "0 4 * * 1-5", "3.12", ("stacks", "more/x.yaml")
)
OWN = PipelineSettings((replace(ML, own_address=True), replace(WEB, own_address=True)), "==1.0")
SETTINGS = {"one": ONE, "two": TWO, "own addresses": OWN}


EVENTS = get_args(ChildEvent)


def rendered(engine: str, settings: PipelineSettings) -> str:
    return render_pipeline(ENGINES[engine], settings)


def children(settings: PipelineSettings) -> str:
    """Everything that GitLab's pipeline has made in its runs."""
    return "".join(render_child(settings, event) for event in EVENTS)


def loaded(text: str) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(text))


@given(st.text())
def test_any_text_is_one_yaml_value(text: str) -> None:
    for quoted in (quoting.yaml(text), quoting.gitlab(text.replace("$", "S"))):
        assert quoted.isascii()
        assert quoted.isprintable()
    assert loaded(f"a: {quoting.yaml(text)}\nb: 1\n") == [{"a": text, "b": 1}]
    assert loaded(f"[{quoting.yaml(text)}, 1]") == [[text, 1]]


@given(st.text(alphabet=st.sampled_from("${}a' \"\\#\n:")))
def test_what_an_engine_would_evaluate_stays_text(text: str) -> None:
    for quote, opening in ((quoting.github, "${{"), (quoting.argo, "{{")):
        if opening in text:
            with pytest.raises(ValueError, match="cannot stand"):
                quote(text)
        else:
            assert loaded(f"a: {quote(text)}") == [{"a": text}]
    # GitLab reads $$ as a dollar, and nothing is left that it would read as a variable
    (given_,) = loaded(quoting.gitlab(text))
    assert given_.replace("$$", "") == text.replace("$", "")
    if "\n" not in text:
        assert Expression(quoting.literal(text), {}).value() == text


def groovy_value(literal: str) -> tuple[str, str]:
    """What Groovy reads of a single-quoted string, and what is left behind it."""
    assert literal.startswith("'")
    short = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'"}
    units, position = [], 1
    while literal[position] != "'":
        if literal[position] != "\\":
            units.append(ord(literal[position]))
            position += 1
        elif literal[position + 1] == "u":
            units.append(int(literal[position + 2 : position + 6], 16))
            position += 6
        else:
            units.append(ord(short[literal[position + 1]]))
            position += 2
    return b"".join(unit.to_bytes(2, "big") for unit in units).decode("utf-16-be"), literal[position + 1 :]


@given(st.text())
def test_any_text_is_one_groovy_string(text: str) -> None:
    quoted = quoting.groovy(text)
    assert quoted.isascii()
    assert quoted.isprintable()
    assert groovy_value(quoted) == (text, "")


@given(st.text(max_size=20))
def test_a_word_of_make_is_that_word_or_refused(text: str) -> None:
    try:
        quoted = quoting.make(text)
    except ValueError:
        return
    assert quoted.replace("$$", "$").replace("\\#", "#") == text
    assert len(quoted.split()) == 1
    assert not set(quoted) & set("'\"`\\;:|") - {"\\"}


@given(st.text())
def test_a_comment_ends_where_its_line_ends(text: str) -> None:
    assert re.fullmatch(r"[ -~]*", quoting.comment(text))


ATTACKS = (
    "x$(id)", "`id`", "'; id #", '"\nrun: id', "${{ secrets.X }}", "{{workflow.name}}", "a b", "-rf", "$(shell id)",
    "\\u0027+id()+\\u0027", "*/5 * * * *\n    - cron: x", "main'", "..", "/etc/passwd", "a/../../b", "==1; id", "a//b",
)  # fmt: skip
NEARLY = st.text(alphabet="ab1._/-=<>,~!+@: *$'\"{}()\n", min_size=1, max_size=12)
FIELDS = (
    "name", "file", "region", "version_spec", "branch", "environment", "runner", "drift_schedule", "python_version",
    "paths", "install_from",
)  # fmt: skip


@settings_of(max_examples=400)
@given(value=st.one_of(NEARLY, st.text(max_size=30), st.sampled_from(ATTACKS)), field=st.sampled_from(FIELDS))
def test_a_value_is_refused_or_stands_as_itself(value: str, field: str) -> None:
    stack = {"name": "ml", "file": "ml.yaml", "region": "us-east-1"}
    own: dict[str, Any] = {"version_spec": "==1.0"}
    if field in stack:
        stack[field] = value
    else:
        own[field] = (value,) if field == "paths" else value
    try:
        settings = PipelineSettings((PipelineStack(**stack),), **own)
        texts = {engine: rendered(engine, settings) for engine in ENGINES}
        children(settings)
    except UsageError:
        return
    assert all(is_ours(ENGINES[engine], text) for engine, text in texts.items())
    # what passes is a word to every shell, and no engine's own sign
    assert not set(value) & set("'\"\\`$(){};&|#!?~") - (set("<>!~") if field == "version_spec" else set())
    assert "\n" not in value


def installs(engine: str, settings: PipelineSettings) -> tuple[set[str], set[str]]:
    """The requirements and the images of a rendered file."""
    text = rendered(engine, settings)
    found = re.findall(r"""GRIDBYOC_REQUIREMENT(?::| =|\n +value:) ["'](.*)["']$""", text, re.MULTILINE)
    return set(found), set(re.findall(r'image: "(.*)"', text))


@pytest.mark.parametrize(
    "source,requirement,image",
    [
        ("", "gridbyoc[embedded]==0.1.0", "python:3.13-slim"),
        ("wheels/gridbyoc-1.2.3-py3-none-any.whl", "./wheels/gridbyoc-1.2.3-py3-none-any.whl[embedded]",
         "python:3.13-slim"),
        ("git+https://git.example.com/acme/gridbyoc@v1.2.3",
         "gridbyoc[embedded] @ git+https://git.example.com/acme/gridbyoc@v1.2.3", "python:3.13"),
        ("git+ssh://git@git.example.com:2222/gridbyoc.git@0a1b2c3",
         "gridbyoc[embedded] @ git+ssh://git@git.example.com:2222/gridbyoc.git@0a1b2c3", "python:3.13"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("engine", ["github", "gitlab", "jenkins", "argo"])
def test_jobs_install_from_the_named_source_and_have_git_if_it_needs_git(
    engine: str, source: str, requirement: str, image: str
) -> None:
    found, images = installs(engine, replace(ONE, install_from=source))
    assert found == {requirement}
    assert images == ({image} if engine in ("gitlab", "argo") else set())


@pytest.mark.parametrize(
    "source",
    [
        "git+https://ada:key@git.example.com/gridbyoc@v1", "git+https://git.example.com/gridbyoc", "dist/other.whl",
        "git+http://git.example.com/gridbyoc@v1", "../gridbyoc-1.0-py3-none-any.whl", "https://x.example.com/y.whl",
        "/tmp/gridbyoc-1.0-py3-none-any.whl", "git+https://git.example.com/gridbyoc@-x", "gridbyoc",
    ],
)  # fmt: skip
def test_a_source_with_a_key_without_a_version_or_outside_the_repository_is_refused(source: str) -> None:
    with pytest.raises(UsageError):
        replace(ONE, install_from=source)


def test_a_cache_of_an_engine_is_named_after_what_is_installed_in_characters_that_the_engine_takes() -> None:
    """GitHub refuses a comma in a key, GitLab a slash."""
    made = [replace(ONE, install_from="git+https://git.example.com/gridbyoc@v1"), ONE, TWO]
    assert len({each.cache_key for each in made}) == len(made)
    assert all(re.fullmatch(r"[0-9a-f]+", each.cache_key) for each in made)
    for each in made:
        assert f"gridbyoc-{each.python_version}-{each.cache_key}" in rendered("gitlab", each)
        text = rendered("github", each)
        assert f'GRIDBYOC_CACHE: "{each.cache_key}"' in text
        keys = re.findall(r"^ +key: (.*)", text, re.MULTILINE)
        assert keys
        assert all(key.endswith("-${{ env.GRIDBYOC_CACHE }}") for key in keys)


def test_a_token_is_made_out_for_the_region_s_own_sts() -> None:
    china = PipelineStack("ml", "ml.yaml", "cn-north-1")
    for stack, audience in ((china, "sts.amazonaws.com.cn"), (ML, "sts.amazonaws.com")):
        assert stack_json(stack)["audience"] == audience
        assert set(re.findall(r"aud: \"(.*)\"", children(PipelineSettings((stack,), "==1.0")))) == {audience}


def test_a_pipeline_does_not_grow_with_its_stacks() -> None:
    """Every rendered file is the same for two stacks and for sixty: it has no stack's name, file or region."""
    many = tuple(PipelineStack(f"s{number}", f"stacks/s{number}.yaml", "us-west-2") for number in range(60))
    for engine in ("github", "gitlab", "jenkins", "argo"):
        few, all_of_them = (rendered(engine, PipelineSettings(some, "==1.0")) for some in (many[:2], many))
        assert few == all_of_them
        assert "s1.yaml" not in few
        assert "us-west-2" not in few


@pytest.mark.parametrize("field", ["environment", "group", "role-to-assume"])
def test_what_github_protects_comes_from_its_settings_by_the_stack_s_name(field: str) -> None:
    """No value of a stack file but its name selects an environment, a role, or a group of jobs."""
    values = re.findall(rf"^ +{field}: (.*)$", rendered("github", ONE), re.MULTILINE)
    assert values
    known = {"matrix.name", "matrix.environment", "vars.GRIDBYOC_ROLE_ARN", "github.ref", "github.run_id"}
    known |= {"github.workflow", "github.event_name == 'pull_request' && github.ref || github.run_id"}
    assert {each for value in values for each in re.findall(r"\$\{\{ (.*?) \}\}", value)} <= known


def test_stacks_whose_jobs_would_have_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="too similar"):
        PipelineSettings((ML, PipelineStack("ml.prod", "b.yaml", "us-east-1")), "==1.0")
    assert object_name("x" * 63) != object_name("x" * 62 + "y")
    assert len(object_name("x" * 63)) == 52


@pytest.mark.parametrize("name", SETTINGS)
def test_github_jobs_have_no_more_than_they_need(name: str) -> None:
    text = rendered("github", SETTINGS[name])
    (workflow,) = loaded(text)
    assert workflow["permissions"] == {}
    for job_name, job in workflow["jobs"].items():
        granted = {f"{scope}: {level}" for scope, level in job["permissions"].items()}
        wanted = {"comment": {"pull-requests: write"}, "drift-issues": {"issues: write"}, "changes": set()}
        assert granted == wanted.get(job_name, {"contents: read"} | granted & {"id-token: write"})
        assert ("id-token: write" in granted) is ("environment" in job)
        assert job["timeout-minutes"]
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step.get("uses", "a/b@" + "0" * 40))
            assert step.get("with", {}).get("persist-credentials", False) is False
    assert all(re.search(r" # v\d+\.\d+\.\d+$", line) for line in text.splitlines() if "uses: " in line)
    assert "--reveal" not in text
    assert "external" not in text.lower()


def test_what_destroys_takes_another_approval() -> None:
    (workflow,) = loaded(rendered("github", ONE))
    jobs = workflow["jobs"]

    def lets_in(job: str, event: str, **outputs: str) -> bool:
        needs = {"changes": {"result": "success", "outputs": outputs}, "plan": {"result": "success"}}
        contexts = {"github": {"event_name": event, "ref": "refs/heads/main"}, "needs": needs, "inputs": {}}
        return bool(Expression(jobs[job]["if"], contexts).value())

    apply, destroying = "apply", "apply-destroying"
    assert lets_in(apply, "push", applies="1", destroys="0")
    assert not lets_in(destroying, "push", applies="1", destroys="0")
    assert lets_in(destroying, "push", applies="0", destroys="2")
    assert not lets_in(apply, "push", applies="0", destroys="2")
    assert lets_in("changes", "push")
    assert not lets_in("changes", "pull_request")
    for job in (apply, destroying):
        assert jobs[job]["needs"] == "changes"
    assert jobs[apply]["environment"] == "${{ matrix.environment }}"
    assert jobs[destroying]["environment"] == "${{ matrix.environment }}-destroy"
    assert jobs[apply]["concurrency"] == jobs[destroying]["concurrency"] == jobs["destroy"]["concurrency"]
    assert "--yes-destroy" not in jobs[apply]["steps"][-1]["run"]
    assert jobs[destroying]["steps"][-1]["run"].endswith("--yes --yes-destroy")
    assert not lets_in("destroy", "schedule")
    for stack in ("", "ml-prod"):
        by_hand = {"github": {"event_name": "workflow_dispatch", "ref": "refs/heads/main"}}
        given = {**by_hand, "inputs": {"action": "destroy", "stack": stack}}
        assert Expression(jobs["destroy"]["if"], given).value() is bool(stack)


def test_which_events_of_github_get_credentials() -> None:
    (workflow,) = loaded(rendered("github", ONE))
    assert workflow["on"]["merge_group"] == {"branches": ["main"]}
    assert "pull_request_target" not in workflow["on"]
    jobs = workflow["jobs"]
    assert "if" not in jobs["validate"]

    def begins(job: str, event: str, head: str = "acme/platform", author: str = "ada") -> bool:
        request = {"head": {"repo": {"full_name": head}}, "user": {"login": author}}
        github = {"event_name": event, "ref": "refs/heads/main", "repository": "acme/platform"}
        needs = {name: {"result": "skipped"} for name in jobs}
        given = {"github": {**github, "event": {"pull_request": request}}, "inputs": {}, "needs": needs}
        return bool(Expression(jobs[job]["if"], given).value())

    assert begins("plan", "push")
    assert begins("plan", "pull_request")
    assert not begins("plan", "pull_request", head="mallory/platform")
    assert not begins("plan", "pull_request", author="dependabot[bot]")
    assert not any(begins(job, "merge_group") for job in jobs if job != "validate")


def test_an_address_that_is_the_stack_files_own_comes_from_a_setting_of_the_engine() -> None:
    for variable in ("GRID_URL", "LIGHTNING_CLOUD_URL"):
        text = rendered("github", ONE)
        assert text.count(f"{variable}: ${{{{ vars.{variable} }}}}") == text.count(" GRID_API_KEY: ${{") > 0
    jenkins = rendered("jenkins", OWN)
    for vendor, variable, key in (("grid", "GRID_URL", "GRID_"), ("lightning", "LIGHTNING_CLOUD_URL", "LIGHTNING_")):
        bound = f"string(credentialsId: 'gridbyoc-control-plane-url-{vendor}', variable: '{variable}'),"
        assert jenkins.count(bound) == jenkins.count(f"passwordVariable: '{key}API_KEY'") > 0
        assert f"credentialsId: 'gridbyoc-control-plane-{vendor}'" in jenkins
    assert "gridbyoc-control-plane-url" not in rendered("jenkins", PipelineSettings((ML, WEB), "==1.0"))
    assert "credentialsId: 'gridbyoc-control-plane'" in rendered("jenkins", ONE)


def test_gitlab_jobs_run_when_they_must() -> None:
    (file,) = loaded(rendered("gitlab", TWO))
    jobs = {name: job for name, job in file.items() if name.startswith("gridbyoc ")}
    assert {job["stage"] for job in jobs.values()} <= set(file["stages"])
    merge_request = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_PROJECT_PATH": "acme/platform"}
    on_trunk = {"CI_COMMIT_BRANCH": "trunk"}
    both = ["gridbyoc stacks", "gridbyoc run"]
    for variables, ran in (
        ({"CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "acme/platform", **merge_request}, both),
        ({"CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "mallory/platform", **merge_request}, both[:1]),
        ({"CI_PIPELINE_SOURCE": "push", **on_trunk}, both),
        ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "main"}, []),
        ({"CI_PIPELINE_SOURCE": "schedule", **on_trunk}, both),
        ({"CI_PIPELINE_SOURCE": "web", "GRIDBYOC_DESTROY": "web.eu", **on_trunk}, both),
        ({"CI_PIPELINE_SOURCE": "push", "GRIDBYOC_DESTROY": "web.eu", **on_trunk}, []),
    ):
        found = [name for name, job in jobs.items() if any(holds(rule["if"], variables) for rule in job["rules"])]
        assert found == ran, variables


def test_gitlab_s_child_has_the_jobs_of_each_stack_for_what_started_it() -> None:
    made: dict[str, dict[str, Any]] = {}
    for event in EVENTS:
        (file,) = loaded(render_child(TWO, event))
        made[event] = {name: job for name, job in file.items() if name.startswith("gridbyoc ")}
        assert {job["stage"] for job in made[event].values()} <= set(file["stages"])
    stacks = ("ml-prod", "web.eu")
    assert list(made["review"]) == [*(f"gridbyoc plan {stack}" for stack in stacks), "gridbyoc comment"]
    assert list(made["apply"]) == [f"gridbyoc {verb} {stack}" for stack in stacks for verb in ("plan", "apply")]
    drift = [f"gridbyoc {verb} {stack}" for stack in stacks for verb in ("drift", "verify")]
    assert list(made["drift"]) == [*drift, "gridbyoc drift issues"]
    assert list(made["destroy"]) == [f"gridbyoc destroy {stack}" for stack in stacks]
    everything = {name: job for jobs in made.values() for name, job in jobs.items()}
    assert [name for name, job in everything.items() if job.get("allow_failure")] == drift[1::2]
    for stack, environment in zip(stacks, ("production", "eu"), strict=True):
        groups = {everything[f"gridbyoc {verb} {stack}"]["resource_group"] for verb in ("apply", "destroy")}
        assert groups == {f"gridbyoc-{stack}"}
        named = {job["environment"]["name"] for name, job in everything.items() if name.endswith(f" {stack}")}
        assert named == {f"{environment}-plan", environment, f"{environment}-destroy"}
        (rule,) = everything[f"gridbyoc destroy {stack}"]["rules"]
        assert [holds(rule["if"], {"CI_PIPELINE_SOURCE": "parent_pipeline", "GRIDBYOC_DESTROY": each}) for each in
                (stack, "other")] == [True, False]  # fmt: skip
    assert all("expire_in" in job["artifacts"] for job in everything.values() if "artifacts" in job)
    assert all(("id_tokens" in job) is ("environment" in job) for job in everything.values())
    keys = [name for name, job in everything.items() if "GRIDBYOC_GITLAB_TOKEN" in str(job["rules"])]
    assert keys == ["gridbyoc comment", "gridbyoc drift issues"]
    assert all("id_tokens" not in everything[name] for name in keys)


def test_a_child_that_gitlab_would_refuse_is_refused_in_words() -> None:
    many = tuple(PipelineStack(f"s{number}", f"{number}.yaml", "us-west-2") for number in range(2500))
    with pytest.raises(UsageError, match="larger than GitLab's 5 MB"):
        render_child(PipelineSettings(many, "==1.0"), "apply")


def test_the_roles_of_the_documentation_are_not_written_into_one_root_module() -> None:
    """Each has a role, a policy and an output of the same names."""
    targets = re.findall(r" > (\S+\.tf)$", (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(targets) == 3
    assert len({Path(target).parent for target in targets}) == 3


@pytest.mark.parametrize("engine", ["github", "gitlab", "jenkins", "argo"])
def test_no_job_applies_without_the_bundles_key(engine: str) -> None:
    """A secret that is missing is an empty variable, with which a bundle that anybody wrote would be taken."""
    text = render_child(TWO, "apply") if engine == "gitlab" else rendered(engine, TWO)
    before, *parts = text.split("${GRIDBYOC_BUNDLE_KEY:?is not set}")
    applies = [re.findall(r"gridbyoc apply \S*bundle\b", part) for part in (before, *parts)]
    assert applies[0] == []
    assert all(applies[1:])
    # as many as there are: none stands behind another job's guard
    assert len(parts) == (1 if engine in ("jenkins", "argo") else 2)


def test_a_path_that_no_makefile_can_hold_is_refused_in_words() -> None:
    odd = PipelineSettings((PipelineStack("x", "stacks/a:b.yaml", "us-west-2"),), "==0.1.0")
    with pytest.raises(UsageError, match="cannot be written for make"):
        rendered("make", odd)
    assert rendered("github", odd)


def test_jenkins_plans_no_fork_s_pull_request() -> None:
    """A plan runs the module's code; what has credentials is let in from the repository alone."""
    stages = re.split(r"\n    stage\(", rendered("jenkins", ONE))[1:]
    for stage in stages:
        closed_to_forks = "branch 'main'\n        expression" in stage or "!env.CHANGE_FORK" in stage
        closed_to_forks |= "        branch 'main'\n        anyOf" in stage
        assert closed_to_forks is ("withCredentials" in stage or "input {" in stage), stage


def test_one_stack_in_two_environments_shares_nothing_on_github() -> None:
    """Two accounts in one repository, a workflow for each: another's issue is not closed, nor its comment replaced."""
    eu = PipelineSettings((ML, PipelineStack("drift-ml-prod", "x.yaml", "us-west-2")), "==0.1.0", environment="eu")
    groups = [re.findall(r"group: (.*gridbyoc.*)", rendered("github", each)) for each in (ONE, eu)]
    marks = [re.findall(r"REPORT_MARK: (.*)", rendered("github", each)) for each in (ONE, eu)]
    assert all(groups + marks)
    for first, second in (groups, marks):
        assert not {*first} & {*second}


@pytest.mark.parametrize("settings", [ONE, TWO])
def test_argo_s_templates_and_references_are_there(settings: PipelineSettings) -> None:
    """Structure only: no cluster reads them here."""
    names = []
    for document in loaded(rendered("argo", settings)):
        assert document["apiVersion"] == "argoproj.io/v1alpha1"
        names.append(document["metadata"]["name"])
        assert len(names[-1]) <= 52
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", names[-1])
        spec = document["spec"] if document["kind"] == "WorkflowTemplate" else document["spec"]["workflowSpec"]
        templates = {template["name"]: template for template in spec["templates"]}
        assert spec["entrypoint"] in templates
        steps = [step for group in templates.get("run", {}).get("steps", []) for (step,) in [group]]
        assert all(step["template"] in templates for step in steps)
        for template in templates.values():
            if "script" in template:
                assert template["serviceAccountName"] in {"gridbyoc-plan", "gridbyoc-apply", "gridbyoc-destroy"}
                assert "{{" not in template["script"]["source"]
                assert template["activeDeadlineSeconds"]
    assert len(set(names)) == len(names)


def stripped(text: str) -> str:
    """Groovy without its strings and comments."""
    text = re.sub(r"'''.*?'''", "''", text, flags=re.DOTALL)
    return re.sub(r"//.*", "", re.sub(r"'(?:[^'\\\n]|\\.)*'", "''", text))


@pytest.mark.parametrize("name", SETTINGS)
def test_the_jenkinsfile_is_balanced(name: str) -> None:
    """Brackets and strings alone: no Jenkins reads it here."""
    closing = {")": "(", "]": "[", "}": "{"}
    open_ones: list[str] = []
    for sign in re.sub(r"[^(){}\[\]]", "", stripped(rendered("jenkins", SETTINGS[name]))):
        if sign in closing:
            assert open_ones.pop() == closing[sign]
        else:
            open_ones.append(sign)
    assert open_ones == []
    assert stripped(rendered("jenkins", SETTINGS[name])).count("'") % 2 == 0


def test_the_jobs_of_a_vendor_without_an_api_get_no_key() -> None:
    keyless = PipelineSettings((PipelineStack("acme", "acme.yaml", "us-west-2", None),), "==0.6.0")
    assert "GRID_API_KEY" in rendered("jenkins", ONE)
    assert "GRID_API_KEY" not in rendered("jenkins", keyless)
    assert stack_json(keyless.stacks[0])["control_plane"] == ""
    # of each control plane, a job gets the key only if its stack uses it
    keys = set(re.findall(r"secrets\.(?!GRIDBYOC)\w+.*", rendered("github", ONE)))
    given = set(re.findall(r"\w+: (\$\{\{.*secrets\.(?!GRIDBYOC)\w+.*)", rendered("github", ONE)))
    assert len(keys) == len(given) == 4
    for text in given:
        assert not [Expression(text[4:-3], {"matrix": {"control_plane": ""}, "secrets": {}}).value()][0]


def test_the_shipped_make_file_is_what_would_be_written() -> None:
    assert (ROOT / "make" / "gridbyoc.mk").read_text() == rendered("make", PipelineSettings((), "==0"))


def test_the_hooks_for_pre_commit_call_what_exists() -> None:
    from click.testing import CliRunner

    from gridbyoc.cli.main import cli

    (hooks,) = loaded((ROOT / ".pre-commit-hooks.yaml").read_text())
    for hook in hooks:
        words = [word for word in hook["entry"].split()[1:] if not word.startswith("-") and "." not in word]
        shown = CliRunner().invoke(cli, [*words, "--help"], prog_name="gridbyoc")
        assert shown.exit_code == 0
        assert all(option in shown.output for option in hook["entry"].split() if option.startswith("--"))
        assert hook["language"] == "python"
    assert [bool(re.search(hooks[0]["files"], path)) for path in ("a/gridbyoc.yaml", "ml.gridbyoc.yml", "x.yaml")] == [
        True,
        True,
        False,
    ]


def test_the_bundles_and_the_key_go_no_other_way() -> None:
    for text in (*(rendered(engine, TWO) for engine in ENGINES), children(TWO)):
        assert "--unencrypted" not in text.replace("GRIDBYOC_PLAN_FLAGS=--unencrypted", "")
        assert not re.search(r"(?i)(secret|password|token)\w*: *[\"']?[A-Za-z0-9+/]{20,}", text)
