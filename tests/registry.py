"""A client of schema registries, and its serialisers, against the service at ADDRESS.

    python tests/registry.py ADDRESS

Registers, fetches, looks up, compares and deletes as producers and consumers do. Prints what the test compares, one JSON object.
"""

import json
import sys
import urllib.error
import urllib.request

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

URL = f"http://{sys.argv[1]}"


def client():
    """A new one has nothing in its cache."""
    return SchemaRegistryClient({"url": URL})


def record(*more):
    fields = [{"name": "id", "type": "long"}, *more]
    return json.dumps({"type": "record", "name": "Order", "namespace": "shop", "fields": fields})


def refused(call):
    try:
        call()
    except SchemaRegistryError as error:
        return [error.http_status_code, error.error_code]
    return None


def posted(kind, **sent):
    """As it comes from a page of another site, or with what the client above does not send."""
    body = json.dumps({"schema": V1, **sent}).encode()
    call = urllib.request.Request(f"{URL}/subjects/posted/versions", data=body, headers={"Content-Type": kind})
    try:
        urllib.request.urlopen(call)
    except urllib.error.HTTPError as error:
        return [error.code, json.load(error)["error_code"]]
    return None


V1 = record()
V2 = record({"name": "note", "type": ["null", "string"], "default": None})
BREAKING = record({"name": "day", "type": "string"})
JSON_SCHEMA = json.dumps(
    {"title": "Refund", "type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
)

out = {}
registry = client()
topic = SerializationContext("orders", MessageField.VALUE)

# A producer of the first version, one of the second, and a consumer who has neither schema.
first = AvroSerializer(registry, V1)({"id": 1}, topic)
second = AvroSerializer(registry, V2)({"id": 2, "note": "x"}, topic)
read = AvroDeserializer(client())
out["avro"] = [read(first, topic), read(second, topic)]

refunds = SerializationContext("refunds", MessageField.VALUE)
sent = JSONSerializer(JSON_SCHEMA, registry)({"id": 7}, refunds)
out["json"] = JSONDeserializer(None, schema_registry_client=client())(sent, refunds)

asked = client()
out["subjects"] = asked.get_subjects()
out["versions"] = asked.get_versions("orders-value")
latest = asked.get_latest_version("orders-value")
out["latest"] = [latest.version, latest.schema.schema_type, json.loads(latest.schema.schema_str)]
base = asked.get_version("orders-value", 1).schema_id
refund = asked.get_latest_version("refunds-value").schema_id
out["types"] = [asked.get_schema(base).schema_type, asked.get_schema(refund).schema_type]
# As it was written elsewhere: the same content, another layout.
again = Schema(json.dumps(json.loads(V1), indent=4, sort_keys=True), "AVRO")
found = asked.lookup_schema("orders-value", again)
out["lookup"] = [found.version, found.schema_id == base, base == asked.register_schema("orders-value", again)]
out["of_id"] = [asked.get_subjects_by_schema_id(base), [v.version for v in asked.get_schema_versions(latest.schema_id)]]

breaking = Schema(BREAKING, "AVRO")
out["compatible"] = [
    asked.test_compatibility("orders-value", breaking),
    asked.test_compatibility("orders-value", Schema(V1, "AVRO")),
]
out["breaking"] = refused(lambda: asked.register_schema("orders-value", breaking))
out["level"] = [asked.get_compatibility(), asked.set_compatibility("orders-value", "NONE")["compatibility"]]
out["level"].append(asked.get_compatibility("orders-value"))
asked.register_schema("orders-value", breaking)
out["taken"] = client().get_versions("orders-value")

out["refused"] = {
    "subject": refused(lambda: client().get_latest_version("none")),
    "version": refused(lambda: client().get_version("orders-value", 99)),
    "schema": refused(lambda: client().get_schema(99)),
    "unknown": refused(lambda: client().lookup_schema("orders-value", Schema('"int"', "AVRO"))),
    "invalid": refused(lambda: client().register_schema("x", Schema('{"type": "nothing"}', "AVRO"))),
    "protobuf": refused(lambda: client().register_schema("x", Schema('syntax = "proto3";', "PROTOBUF"))),
    "level": refused(lambda: client().set_compatibility("x", "SOMETIMES")),
    "no_level": refused(lambda: client().get_compatibility("x")),
    "contract": refused(lambda: client().register_schema("orders", Schema(V1, "AVRO"))),
    "text": posted("text/plain"),
    "rules": posted("application/json", ruleSet={"domainRules": []}),
    "metadata": posted("application/json", metadata={"properties": {"owner": "x"}}),
    "too_early": refused(lambda: client().delete_subject("refunds-value", permanent=True)),
}

contract = asked.get_latest_version("orders")
out["contract"] = [contract.version, contract.schema.schema_type, "DataContract" in contract.schema.schema_str]

out["deleted"] = [asked.delete_version("orders-value", 3), asked.delete_subject("refunds-value")]
out["gone"] = refused(lambda: client().get_versions("refunds-value"))
# Messages under it can still be read, until it is gone for good.
out["still"] = JSONDeserializer(None, schema_registry_client=client())(sent, refunds)
client().delete_subject("refunds-value", permanent=True)
out["for_good"] = refused(lambda: client().get_schema(refund))
out["left"] = [client().get_subjects(), client().get_versions("orders-value")]
print(json.dumps(out))
