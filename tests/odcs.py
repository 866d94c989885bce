"""Contracts read by the standard's own library and checked against its JSON Schema. Prints what is wrong, and how many were read."""

import importlib.resources
import json
import sys

import jsonschema
import yaml
from open_data_contract_standard.model import OpenDataContractStandard

schema = json.loads(importlib.resources.files("open_data_contract_standard").joinpath("schema.json").read_text())
validator = jsonschema.Draft201909Validator(schema)
for path in sys.argv[1:]:
    with open(path) as file:
        document = yaml.safe_load(file)
    # Dates are texts in JSON.
    document = json.loads(json.dumps(document, default=str))
    for error in validator.iter_errors(document):
        print(f"{path}: {error.json_path}: {error.message}")
    OpenDataContractStandard.from_file(path)
print(len(sys.argv) - 1)
