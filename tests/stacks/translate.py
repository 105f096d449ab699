"""Translates template.yaml as CloudFormation's macro does, once for each combination of parameters: `make stacks`.

Runs in the SAM CLI's environment, whose translator it is: `translate.py FOLDER` writes NAME.json, its defaults set to
the combination's values, so that a linter that reads it sees that stack.
"""

import copy
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from tests.contract.stack import template
from tests.stacks.combinations import COMBINATIONS


def translated(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the stack's template without SAM in it, built code where `sam package` puts it."""
    source = copy.deepcopy(template())
    source["Transform"] = "AWS::Serverless-2016-10-31"
    source["Globals"]["Function"]["CodeUri"] = "s3://packaged/artefact.zip"
    for name, value in parameters.items():
        source["Parameters"][name]["Default"] = value
    values = {name: str(declared["Default"]) for name, declared in source["Parameters"].items()}
    result: dict[str, Any] = Translator({}, Parser()).translate(sam_template=source, parameter_values=values)
    return result


def main(folder: Path) -> None:
    """Write every combination."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, parameters in COMBINATIONS.items():
        (folder / f"{name}.json").write_text(json.dumps(translated(parameters), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
