"""Turns a SAM template into the CloudFormation that AWS makes of it. Runs in .venv-validators, on its own:

.venv-validators/bin/python tests/deploy/sam_transform.py TEMPLATE PARAMETERS_AS_JSON
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

REGION = "eu-west-1"


def main(template: str, parameters: str) -> None:
    """Print the templates that CloudFormation gets, as a list."""
    json.dump([transform(Path(template), each) for each in json.loads(parameters)], sys.stdout)


def transform(template: Path, parameters: dict[str, Any]) -> dict[str, Any]:
    """One of them; the transform sees the values that CloudFormation would fill in later."""
    content: dict[str, Any] = yaml_parse(template.read_text(encoding="utf-8"))
    defaults = {name: each["Default"] for name, each in content["Parameters"].items() if "Default" in each}
    values = {**defaults, **parameters, "AWS::Region": REGION, "AWS::Partition": "aws"}
    made: dict[str, Any] = Translator({}, Parser()).translate(content, values)
    return made


if __name__ == "__main__":
    main(*sys.argv[1:])
