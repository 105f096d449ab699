"""Deploys a translated template into moto's CloudFormation, as far as moto can. Knows nothing of what it should hold.

moto knows some of the resource types. The others are left out before, and what refers to them gets their names;
cfn-lint has looked at all of them (`make stacks`).
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from typing import Any

import boto3
import pytest
from moto import mock_aws

REGION = "eu-central-1"
NAME = "slotwise"
DEPLOYABLE = {
    "AWS::CloudWatch::Dashboard",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::Subnet",
    "AWS::EC2::VPC",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::Lambda::Function",
    "AWS::Logs::LogGroup",
}
"""What moto makes of a template."""

Stack = dict[str, Any]


@contextmanager
def account() -> Iterator[None]:
    """Give out a new account of moto's, with the code where `sam package` puts it."""
    with pytest.MonkeyPatch.context() as patch, mock_aws(config={"lambda": {"use_docker": False}}):
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("handlers/records.py", "")
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="packaged", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="packaged", Key="artefact.zip", Body=archive.getvalue())
        yield


def deploy(translated: Stack) -> dict[str, dict[str, str]]:
    """Create the stack; return what was made, physical by logical id, by type."""
    cloudformation = boto3.client("cloudformation")
    body = json.dumps(deployable(translated))
    cloudformation.create_stack(StackName=NAME, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    assert cloudformation.describe_stacks(StackName=NAME)["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    made: dict[str, dict[str, str]] = {}
    for each in cloudformation.describe_stack_resources(StackName=NAME)["StackResources"]:
        if "LogicalResourceId" in each:  # moto lists what a condition has left out as nothing
            made.setdefault(each["ResourceType"], {})[each["LogicalResourceId"]] = each["PhysicalResourceId"]
    return made


def deployable(translated: Stack) -> Stack:
    """Return the part of the template that moto can make."""
    kept = {key: value for key, value in translated["Resources"].items() if value["Type"] in DEPLOYABLE}
    cidr = str(translated["Parameters"]["VpcCidr"]["Default"])
    part: Stack = _Namer(set(translated["Resources"]) - set(kept), cidr).named(
        {**translated, "Resources": kept, "Outputs": {}, "Rules": {}}
    )
    return part


class _Namer:
    """Puts names in the place of references to what is left out, and addresses in that of Fn::Cidr."""

    def __init__(self, left_out: set[str], cidr: str) -> None:
        self._left_out = left_out
        self._cidr = cidr

    def named(self, part: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(part, list):
            return [self.named(each) for each in part]
        if isinstance(part, str):
            return re.sub(r"\$\{(\w+)\}", lambda found: found[1] if found[1] in self._left_out else found[0], part)
        if isinstance(part, dict):
            known = self._known(part)
            return known if known is not None else {key: self.named(value) for key, value in part.items()}
        return part

    def _known(self, part: Stack) -> str | list[str] | None:
        if "Fn::Cidr" in part:
            return [str(each) for each in ip_network(self._cidr).subnets(new_prefix=32 - part["Fn::Cidr"][2])]
        if part.get("Ref") in self._left_out:
            return f"arn:aws:left-out:{REGION}:123456789012:{part['Ref']}"
        if "Fn::GetAtt" in part and part["Fn::GetAtt"][0] in self._left_out:
            return ".".join(part["Fn::GetAtt"])
        return None
