"""The template says what the code is: handlers, routes, variables, time-outs; and no route is open."""

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest

from db import DatabaseSettings
from monitor import Watch
from provision.custom_resource import ANSWER_S
from provision.plan import read_plan
from tests.contract.resolution import Resolution
from tests.contract.stack import ROOT, functions, resources, routes, template, variables
from tests.stacks.combinations import COMBINATIONS

ROUTES = """
import importlib, json, sys
found = {}
for path in json.loads(sys.argv[1]):
    module, _, function = path.rpartition(".")
    module = importlib.import_module(module)
    assert callable(getattr(module, function))
    for (rule, methods, *_), served_by in getattr(module, "router")._routes.items():
        if served_by.__module__ == module.__name__:
            rule = rule.replace("<", "{").replace(">", "}")
            found.update({f"{method} {rule}": path for method in methods})
print(json.dumps(found))
"""
"""In a process of its own, since handlers/environment.py reads the variables when it is imported."""

API_GATEWAY_TIMEOUT_S = 30
KNOWN_TO_BOTO3 = {"AWS_ENDPOINT_URL_SECRETS_MANAGER"}
KNOWN_TO_PYDANTIC = {"PYDANTIC_DISABLE_PLUGINS"}
KNOWN_TO_POWERTOOLS = {"POWERTOOLS_LOG_LEVEL"}


def _routes_of_the_code(handlers: set[str]) -> dict[str, str]:
    environ = {**os.environ, "PYTHONPATH": "src", "DATABASE_URL": "postgres://nobody@localhost/none"}
    command = [sys.executable, "-c", ROUTES, json.dumps(sorted(handlers))]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environ)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_each_handler_can_be_imported_and_serves_the_templates_routes() -> None:
    """API Gateway lets through what the code answers, and nothing else; no route of the code is unreachable."""
    assert _routes_of_the_code(set(routes().values())) == routes()


def test_every_function_has_a_module_of_its_name() -> None:
    """A handler that no deployment reaches, or a function without a handler, is a mistake."""
    for function in functions().values():
        module = ROOT / "src" / (function["Handler"].rpartition(".")[0].replace(".", "/") + ".py")
        assert module.is_file(), f"{function['Handler']} is nowhere"


def test_no_route_is_open() -> None:
    """Every route of every function wants a signature, or a token where a parameter says so; no event opens one."""
    definition = template()["Resources"]["Api"]["Properties"]["DefinitionBody"]
    guarded = {f"{method.upper()} {path}": operation["security"] for path, operations in definition["paths"].items()
               for method, operation in operations.items()}  # fmt: skip
    assert set(guarded) == set(routes())
    for security in guarded.values():
        assert security == {"Fn::If": ["WantsTokens", [{"jwt": []}], [{"iam": []}]]}
    for function in functions().values():
        for event in function.get("Events", {}).values():
            assert "Auth" not in event["Properties"]


def test_a_signature_is_wanted_unless_a_parameter_says_otherwise() -> None:
    """Who deploys with nothing said has an API that only IAM's principals can call."""
    schemes = template()["Resources"]["Api"]["Properties"]["DefinitionBody"]["components"]["securitySchemes"]
    assert schemes["iam"]["x-amazon-apigateway-authtype"] == "awsSigv4"
    assert template()["Parameters"]["Authorization"]["Default"] == "iam"


def test_no_page_may_call_the_api_unless_it_is_named() -> None:
    """CORS is off by default, and no parameter can open it to everybody."""
    parameter = template()["Parameters"]["CorsOrigins"]
    assert parameter["Default"] == ""
    assert re.fullmatch(parameter["AllowedPattern"], "https://app.example.com,http://localhost:5173")
    for everybody in ("*", "https://*", "https://*.example.com"):
        assert not re.fullmatch(parameter["AllowedPattern"], everybody)


def test_the_settings_can_be_read_from_the_functions_variables() -> None:
    """Each variable is one that the settings, boto3 or Powertools know, with a default that they take."""
    known = {declared.metadata["variable"] for declared in fields(DatabaseSettings)}
    elsewhere = KNOWN_TO_BOTO3 | KNOWN_TO_PYDANTIC | KNOWN_TO_POWERTOOLS
    given = {name: value for name, value in variables().items() if name not in elsewhere}
    assert set(given) <= known
    texts = {name: str(value) for name, value in given.items() if not isinstance(value, dict)}
    settings = DatabaseSettings.from_env({**texts, "DB_SECRET_ID": "given"})
    usual = DatabaseSettings.from_env({"DB_SECRET_ID": "given"})
    assert settings == usual, "the template changes a default"


def test_every_logger_and_metric_is_told_its_names_in_the_code() -> None:
    """So that they are found where the dashboard and the README look for them, and no variable can change them."""
    wanted = {"Logger": {"service"}, "Metrics": {"service", "namespace"}, "single_metric": {"namespace"}}
    calls = [
        (node.func.id, {keyword.arg for keyword in node.keywords})
        for file in (ROOT / "src").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in wanted
    ]
    assert {name for name, _ in calls} == set(wanted)
    assert all(wanted[name] <= told for name, told in calls)


def test_tls_is_no_ones_to_switch_off() -> None:
    """No parameter and no variable of the stack can turn verification off."""
    assert "DB_TLS" not in variables()
    assert not [name for name in template()["Parameters"] if "tls" in name.lower()]


def test_a_function_answers_before_api_gateway_gives_up() -> None:
    """The client reads our 503, not API Gateway's."""
    for function in functions().values():
        if function.get("Events"):
            assert function["Timeout"] < API_GATEWAY_TIMEOUT_S


def test_the_monitor_ends_only_what_no_function_of_the_stack_can_still_be_at() -> None:
    """The schedule names the functions that lend from the same database, and waits for longer than any of them runs."""
    event = functions()["MonitorFunction"]["Events"]["EachMinute"]["Properties"]
    text, values = event["Input"]["Fn::Sub"]
    by_iam = {"Fn::If": ["LogsInByIam", {"Fn::Sub": '"${IamUser}"'}, "null"]}
    assert values["Role"]["Fn::If"] == ["Provisions", {"Fn::Sub": '"${Schema.Role}"'}, by_iam]
    watch = Watch.model_validate_json(text.replace("${Role}", '"slotwise"'))
    others = {"MonitorFunction", "ProvisionFunction"}  # the one that looks, and the one with a login of its own
    watched = {name: each for name, each in functions().items() if name not in others}
    assert set(watch.functions) == {each["FunctionName"]["Fn::Sub"] for each in watched.values()}
    assert watch.longest_function_s >= max(each["Timeout"] for each in watched.values())


def test_the_runtimes_python_is_one_that_the_package_supports() -> None:
    """The artefact is built for the same Python everywhere."""
    assert template()["Globals"]["Function"]["Runtime"] == "python3.13"
    assert "RUNTIME := 3.13\n" in (ROOT / "Makefile").read_text()


def test_each_function_has_its_own_role_log_group_and_limit() -> None:
    """What one function may do, log and use up is nobody else's."""
    owned: list[Any] = []
    for name, function in functions().items():
        assert "ReservedConcurrentExecutions" in function, f"{name} may use up the database"
        owned += [json.dumps(function["Role"]), json.dumps(function["LoggingConfig"])]
    assert len(owned) == len(set(owned))


def test_every_log_group_forgets() -> None:
    """Logs end after the days that a parameter says."""
    for group in resources("AWS::Logs::LogGroup").values():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_the_log_that_a_failed_deployment_refers_to_stays() -> None:
    """Under a name that is no other attempt's, or the next would fail by it."""
    group = template()["Resources"]["ProvisionLogGroup"]
    assert group["DeletionPolicy"] == group["UpdateReplacePolicy"] == "Retain"
    assert "LogGroupName" not in group["Properties"]


def test_the_standby_is_as_the_writer_but_for_its_zone() -> None:
    """One zone's failure leaves one of the two, where the stack has made the network; and either can be the writer."""
    writer, standby = (dict(resources("AWS::RDS::DBInstance")[name]) for name in ("Writer", "StandbyInstance"))
    zones = [instance.pop("AvailabilityZone")["Fn::If"][:2] for instance in (writer, standby)]
    made = [["MakesNetwork", {"Fn::GetAtt": [subnet, "AvailabilityZone"]}] for subnet in ("SubnetA", "SubnetB")]
    assert (zones, writer) == (made, standby)


def test_every_parameter_is_explained_and_in_a_group() -> None:
    """Who deploys reads in the console what a parameter means, next to those it belongs with."""
    groups = template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(template()["Parameters"])
    assert all(parameter["Description"] for parameter in template()["Parameters"].values())


def test_the_plan_names_every_function_with_its_share() -> None:
    """The budget that a deployment is held to is that of the functions which it deploys."""
    plan = template()["Resources"]["Schema"]["Properties"]["Plan"]
    shares, logins = {share["Function"]: share for share in plan["Functions"]}, {}
    for function in functions().values():
        share = shares.pop(function["FunctionName"]["Fn::Sub"].removeprefix("${AWS::StackName}-"))
        assert share["Environments"] == function["ReservedConcurrentExecutions"]
        own = function.get("Environment", {}).get("Variables", {}).get("DB_POOL_SIZE")
        assert share["PoolSize"] == ({"Ref": "PoolSize"} if own is None else int(own))
        logins[share["Function"]] = share.get("Login", "application")
    assert not shares
    its_own = {"Fn::If": ["MonitorHasLogin", "own", "application"]}
    assert logins == {"records": "application", "health": "application", "monitor": its_own, "provision": "own"}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_the_plan_is_one_that_can_be_read(name: str) -> None:
    """It says who the application is, by its secret or by the user that logs in by IAM, and never by both."""
    resolved = Resolution(COMBINATIONS[name]).of(template()["Resources"]["Schema"]["Properties"]["Plan"])
    plan = read_plan({key: value for key, value in resolved.items() if value is not None})
    assert plan.application_user == COMBINATIONS[name].get("IamUser", "")
    assert bool(plan.application_secret_id) == ("IamUser" not in COMBINATIONS[name])
    assert len(plan.functions) == len(functions())


def test_new_code_meets_the_new_schema() -> None:
    """Each function that works with the tables refers to the custom resource, and so is updated after it."""
    schema = template()["Resources"]["Schema"]["Properties"]
    assert schema["Code"] == {"Ref": "ProvisionFunction.Version"}, "it runs whenever the code changes"
    for name, function in functions().items():
        if name != "ProvisionFunction":
            condition, revision, _ = function["Tags"]["SchemaRevision"]["Fn::If"]
            assert (condition, revision) == ("Provisions", {"Fn::GetAtt": ["Schema", "Revision"]})


def test_cloudformation_never_waits_long_for_provisioning() -> None:
    """Even where the function cannot answer at all; and it is given the time to."""
    timeout_s = functions()["ProvisionFunction"]["Timeout"]
    assert timeout_s > ANSWER_S * 5
    assert timeout_s < template()["Resources"]["Schema"]["Properties"]["ServiceTimeout"] <= 300


@pytest.mark.parametrize("sample", ["by-hand", "doctor"])
def test_the_sample_plans_are_the_templates(sample: str) -> None:
    """What is provisioned by hand, or on a developer's machine, is the fleet of a deployment with nothing given."""
    defaults = {name: declared["Default"] for name, declared in template()["Parameters"].items()}
    parts = template()["Resources"]["Schema"]["Properties"]["Plan"]["Functions"]
    deployed = [{name: _resolved(value, defaults) for name, value in part.items()} for part in parts]
    plan = json.loads((ROOT / "events" / "provision" / f"{sample}.json").read_text())["Plan"]
    assert plan["Functions"] == deployed


def _resolved(value: Any, defaults: dict[str, Any]) -> Any:  # noqa: ANN401 - YAML
    """Return what a value of the plan is where nothing is given."""
    if isinstance(value, dict):
        return defaults[value["Ref"]] if "Ref" in value else value["Fn::If"][1]
    return value


def test_sam_local_can_tell_which_layers_there_are() -> None:
    """It resolves both branches of a condition, and stops where one is AWS::NoValue."""
    layers = template()["Globals"]["Function"]["Layers"]
    assert "AWS::NoValue" not in json.dumps(layers)
    assert layers["Fn::If"][2] == []
