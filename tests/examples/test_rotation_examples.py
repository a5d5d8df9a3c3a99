"""The examples that rotate: what they write down is what safetwilio takes."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from safetwilio.backends.locate import open_backend, parse
from safetwilio.cli.main import _parser
from safetwilio.rotation import aws_lambda, google_function

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(ROOT.glob("examples/rotate_*"))
TEXTS = {
    str(p.relative_to(ROOT)): p.read_text("utf-8")
    for e in EXAMPLES
    for p in e.iterdir()
    if p.is_file()
}
_VARIABLE = re.compile(r"SAFETWILIO_[A-Z_]+")
_COMMAND = re.compile(r"(?:^|`|run: )(safetwilio [^`\n]+)", re.MULTILINE)
_REFERENCE = re.compile(r"\b(?:aws-sm|gcp-sm|vault)://[^\s\"`,)]+")
_CODE = re.compile(r"\bST\d{3}\b")


def documents(example: str, name: str) -> list[Any]:
    return [*yaml.safe_load_all((ROOT / "examples" / example / name).read_text("utf-8"))]


def commands() -> Iterator[list[str]]:
    for text in TEXTS.values():
        for command in _COMMAND.findall(text):
            yield shlex.split(command)
    (job, _) = documents("rotate_cronjob", "cronjob.yaml")
    (container,) = _containers(job)
    yield [*container["command"], *container["args"]]


def _containers(job: Any) -> list[Any]:
    return list(job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"])


def load(example: str, name: str) -> ModuleType:
    path = ROOT / "examples" / example / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{example}_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_has_a_page() -> None:
    assert [each.name for each in EXAMPLES] == [
        "rotate_cronjob",
        "rotate_github_actions",
        "rotate_on_aws_lambda",
        "rotate_on_google",
    ]
    assert all((each / "README.md").is_file() for each in EXAMPLES)


def test_each_command_is_one_that_there_is() -> None:
    parsed = [_parser().parse_args(words) for name, *words in commands() if name == "safetwilio"]
    assert len([each for each in parsed if hasattr(each, "older_than")]) == 2
    assert all(callable(each.run) for each in parsed)


@pytest.mark.parametrize("name", TEXTS)
def test_each_variable_code_and_reference_is_one_that_there_is(name: str) -> None:
    text = TEXTS[name]
    sources = "".join(p.read_text("utf-8") for p in (ROOT / "src").rglob("*.py"))
    assert [each for each in _VARIABLE.findall(text) if f'"{each}"' not in sources] == []
    assert [each for each in _CODE.findall(text) if f'"{each}"' not in sources] == []
    for found in _REFERENCE.findall(text):
        if "$" not in found:
            open_backend(parse(found, place=name)[0])


def test_no_secret_is_written_down() -> None:
    for text in TEXTS.values():
        assert re.findall(r"\b(?:SK|AC)[0-9a-f]{32}\b|\b[0-9a-f]{32}\b", text) == []


def test_the_functions_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load("rotate_on_aws_lambda", "app").handler is aws_lambda.handler
    framework = ModuleType("functions_framework")
    framework.cloud_event = lambda function: function  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "functions_framework", framework)
    module = load("rotate_on_google", "main")
    assert module.handle is google_function.handle
    assert module.rotate({}) is None


def test_the_template_allows_what_is_needed_and_no_more() -> None:
    (template,) = documents("rotate_on_aws_lambda", "template.yaml")
    function = template["Resources"]["Rotation"]["Properties"]
    module, _, name = function["Handler"].partition(".")
    assert callable(getattr(load("rotate_on_aws_lambda", module), name))
    key, admin = function["Policies"][0]["Statement"]
    assert key["Resource"] == {"Ref": "KeySecretArn"}
    assert sorted(each.partition(":")[2] for each in key["Action"]) == [
        "DescribeSecret",
        "GetSecretValue",
        "PutSecretValue",
        "UpdateSecretVersionStage",
    ]
    assert (admin["Action"], admin["Resource"]) == (
        "secretsmanager:GetSecretValue",
        {"Ref": "AdminSecretArn"},
    )
    assert function["Timeout"] > 2 * 60


def test_the_job_may_do_nothing_that_it_need_not() -> None:
    (job, _) = documents("rotate_cronjob", "cronjob.yaml")
    (container,) = _containers(job)
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    names = {each["name"] for each in container["env"]}
    assert names >= {"SAFETWILIO_BACKEND", "SAFETWILIO_ADMIN_BACKEND", "SAFETWILIO_JOURNAL"}


def test_in_the_workflow_one_step_alone_has_a_login() -> None:
    (workflow,) = documents("rotate_github_actions", "rotate.yaml")
    job = workflow["jobs"]["rotate"]
    assert workflow["permissions"] == {}
    assert job["permissions"] == {"id-token": "write"}
    assert "env" not in workflow
    assert "env" not in job
    assert [step["run"][:17] for step in job["steps"] if "env" in step] == ["safetwilio rotate"]
    (login,) = (s for s in job["steps"] if "configure-aws" in s.get("uses", ""))
    assert login["with"]["output-env-credentials"] is False
    assert "secrets." not in TEXTS["examples/rotate_github_actions/rotate.yaml"]


def flags(command: str) -> list[str]:
    """Return the flags that the example for Google gives to the one gcloud *command*."""
    text = TEXTS["examples/rotate_on_google/README.md"].replace("\\\n", " ")
    (line,) = (each for each in text.splitlines() if each.startswith(f"gcloud {command} "))
    return [word.partition("=")[0] for word in shlex.split(line) if word.startswith("--")]


def test_gcloud_is_given_flags_that_it_knows_and_none_twice() -> None:
    """Of the synopses that Google publishes; of the flags for variables it takes one alone."""
    update = {"--add-topics", "--rotation-period", "--next-rotation-time"}
    assert set(flags("secrets update")) == update
    deploy = flags("functions deploy")
    assert [each for each in deploy if each.endswith("env-vars")] == ["--set-env-vars"]
    assert len(deploy) == len(set(deploy))
    assert "date -" not in TEXTS["examples/rotate_on_google/README.md"], "each system has another"


def test_the_function_at_google_may_not_take_versions_away() -> None:
    text = TEXTS["examples/rotate_on_google/README.md"]
    (roles,) = re.findall(r"for ROLE in ([A-Za-z ]+);", text)
    assert roles.split() == ["secretVersionAdder", "viewer"]
    named = set(re.findall(r"roles/secretmanager\.(\w+)", text))
    assert named == {"secretAccessor"}


def test_the_workflow_believes_no_journal_that_another_job_could_write() -> None:
    (workflow,) = documents("rotate_github_actions", "rotate.yaml")
    steps = workflow["jobs"]["rotate"]["steps"]
    assert [s["uses"] for s in steps if "uses" in s and "cache" in s["uses"]] == []
    (install,) = (s["run"] for s in steps if s.get("run", "").startswith("pip install"))
    assert re.search(r"==\d+\.\d+", install)
