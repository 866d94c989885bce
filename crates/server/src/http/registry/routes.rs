//! The paths of this folder, as rows of the table of all paths. Called by the `routes.rs` of all.

use super::{compatibility, config, ids, subjects};
use crate::http::routes::{Content, Method, Parameter, Place, Route};
use axum::routing::{delete, get, post, put};

const SCHEMA: &[(&str, Option<&str>)] =
    &[("application/vnd.schemaregistry.v1+json", Some("SentSchema")), ("application/json", Some("SentSchema"))];
const LEVEL: &[(&str, Option<&str>)] =
    &[("application/vnd.schemaregistry.v1+json", Some("SentLevel")), ("application/json", Some("SentLevel"))];
const READ: &[u16] = &[401, 403, 404, 422, 500, 503];
const WRITE: &[u16] = &[401, 403, 404, 413, 415, 422, 500, 503];

const SUBJECT: Parameter = Parameter {
    name: "subject",
    place: Place::Path,
    what: "A contract of the project, or any name",
    whole_number: false,
};
const VERSION: Parameter =
    Parameter { name: "version", place: Place::Path, what: "A number from 1, or `latest`", whole_number: false };
const ID: Parameter = Parameter { name: "id", place: Place::Path, what: "The id of a schema", whole_number: true };
const DELETED: Parameter =
    Parameter { name: "deleted", place: Place::Query, what: "`true`: what was deleted, too", whole_number: false };
const PERMANENT: Parameter = Parameter {
    name: "permanent",
    place: Place::Query,
    what: "`true`: for good; after it was deleted",
    whole_number: false,
};
const VERBOSE: Parameter =
    Parameter { name: "verbose", place: Place::Query, what: "`true`: with what breaks", whole_number: false };
const PREFIX: Parameter =
    Parameter { name: "subjectPrefix", place: Place::Query, what: "Only subjects that start so", whole_number: false };
const TO_GLOBAL: Parameter = Parameter {
    name: "defaultToGlobal",
    place: Place::Query,
    what: "`true`: the mode of all where it has none",
    whole_number: false,
};

/// All of them are guarded.
const BASE: Route = Route {
    method: Method::Get,
    path: "",
    id: "",
    summary: "",
    guarded: true,
    parameters: &[],
    takes: &[],
    answers: &[],
    errors: READ,
    handler: || get(ids::types),
};

pub(in crate::http) const ROUTES: &[Route] = &[
    Route {
        path: "/subjects",
        id: "subjects",
        summary: "Names under which schemas are registered",
        parameters: &[PREFIX, DELETED],
        answers: &[(200, "The names", Content::Registry("Names"))],
        handler: || get(subjects::list),
        ..BASE
    },
    Route {
        method: Method::Post,
        path: "/subjects/{subject}",
        id: "look_up_schema",
        summary: "The version of the subject that has this schema",
        parameters: &[SUBJECT],
        takes: SCHEMA,
        answers: &[(200, "The version", Content::Registry("SchemaVersion"))],
        errors: WRITE,
        handler: || post(subjects::look_up),
        ..BASE
    },
    Route {
        method: Method::Delete,
        path: "/subjects/{subject}",
        id: "delete_subject",
        summary: "All versions of the subject are out of use",
        parameters: &[SUBJECT, PERMANENT],
        answers: &[(200, "Their numbers", Content::Registry("Numbers"))],
        handler: || delete(subjects::delete_subject),
        ..BASE
    },
    Route {
        path: "/subjects/{subject}/versions",
        id: "schema_versions",
        summary: "Numbers of the subject's versions",
        parameters: &[SUBJECT, DELETED],
        answers: &[(200, "The numbers", Content::Registry("Numbers"))],
        handler: || get(subjects::versions),
        ..BASE
    },
    Route {
        method: Method::Post,
        path: "/subjects/{subject}/versions",
        id: "register_schema",
        summary: "Registers a schema, if it keeps to the subject's compatibility mode",
        parameters: &[SUBJECT],
        takes: SCHEMA,
        answers: &[(200, "Its id and its number, new or known", Content::Registry("Registered"))],
        errors: &[401, 403, 409, 413, 415, 422, 500, 503],
        handler: || post(subjects::register),
        ..BASE
    },
    Route {
        path: "/subjects/{subject}/versions/{version}",
        id: "schema_version",
        summary: "One version with its schema",
        parameters: &[SUBJECT, VERSION, DELETED],
        answers: &[(200, "The version", Content::Registry("SchemaVersion"))],
        handler: || get(subjects::version),
        ..BASE
    },
    Route {
        method: Method::Delete,
        path: "/subjects/{subject}/versions/{version}",
        id: "delete_schema_version",
        summary: "One version is out of use",
        parameters: &[SUBJECT, VERSION, PERMANENT],
        answers: &[(200, "Its number", Content::Registry("Number"))],
        handler: || delete(subjects::delete_version),
        ..BASE
    },
    Route {
        path: "/subjects/{subject}/versions/{version}/schema",
        id: "schema_text",
        summary: "The schema of one version alone, as it was registered",
        parameters: &[SUBJECT, VERSION],
        answers: &[(200, "Its text", Content::Text)],
        handler: || get(subjects::text_of_version),
        ..BASE
    },
    Route {
        path: "/schemas/types",
        id: "schema_types",
        summary: "Languages of schemas",
        answers: &[(200, "Their names", Content::Registry("Names"))],
        errors: &[401, 403],
        handler: || get(ids::types),
        ..BASE
    },
    Route {
        path: "/schemas/ids/{id}",
        id: "schema",
        summary: "A schema by its id",
        parameters: &[ID],
        answers: &[(200, "The schema", Content::Registry("Schema"))],
        handler: || get(ids::of_id),
        ..BASE
    },
    Route {
        path: "/schemas/ids/{id}/subjects",
        id: "subjects_of_schema",
        summary: "Subjects that have the schema",
        parameters: &[ID],
        answers: &[(200, "The names", Content::Registry("Names"))],
        handler: || get(ids::subjects_of_id),
        ..BASE
    },
    Route {
        path: "/schemas/ids/{id}/versions",
        id: "versions_of_schema",
        summary: "Versions that have the schema",
        parameters: &[ID],
        answers: &[(200, "Subject and number of each", Content::Registry("VersionsOfSchema"))],
        handler: || get(ids::versions_of_id),
        ..BASE
    },
    Route {
        method: Method::Post,
        path: "/compatibility/subjects/{subject}/versions",
        id: "is_compatible",
        summary: "Whether a schema would be registered",
        parameters: &[SUBJECT, VERBOSE],
        takes: SCHEMA,
        answers: &[(200, "The verdict", Content::Registry("Verdict"))],
        errors: WRITE,
        handler: || post(compatibility::against_mode),
        ..BASE
    },
    Route {
        method: Method::Post,
        path: "/compatibility/subjects/{subject}/versions/{version}",
        id: "is_compatible_with",
        summary: "Whether a schema is compatible with one version",
        parameters: &[SUBJECT, VERSION, VERBOSE],
        takes: SCHEMA,
        answers: &[(200, "The verdict", Content::Registry("Verdict"))],
        errors: WRITE,
        handler: || post(compatibility::against_version),
        ..BASE
    },
    Route {
        path: "/config",
        id: "default_compatibility",
        summary: "The compatibility mode of subjects that have none of their own",
        answers: &[(200, "The mode", Content::Registry("Level"))],
        handler: || get(config::default_mode),
        ..BASE
    },
    Route {
        method: Method::Put,
        path: "/config",
        id: "set_default_compatibility",
        summary: "Sets it",
        takes: LEVEL,
        answers: &[(200, "The mode", Content::Registry("SetLevel"))],
        errors: WRITE,
        handler: || put(config::set_default),
        ..BASE
    },
    Route {
        path: "/config/{subject}",
        id: "compatibility",
        summary: "The compatibility mode of a subject; of a contract, what it declares",
        parameters: &[SUBJECT, TO_GLOBAL],
        answers: &[(200, "The mode", Content::Registry("Level"))],
        handler: || get(config::mode_of),
        ..BASE
    },
    Route {
        method: Method::Put,
        path: "/config/{subject}",
        id: "set_compatibility",
        summary: "Sets it",
        parameters: &[SUBJECT],
        takes: LEVEL,
        answers: &[(200, "The mode", Content::Registry("SetLevel"))],
        errors: WRITE,
        handler: || put(config::set_mode),
        ..BASE
    },
    Route {
        method: Method::Delete,
        path: "/config/{subject}",
        id: "forget_compatibility",
        summary: "The subject is under the mode of all again",
        parameters: &[SUBJECT],
        answers: &[(200, "The mode that it had", Content::Registry("Level"))],
        handler: || delete(config::forget_mode),
        ..BASE
    },
    Route {
        path: "/mode",
        id: "registry_mode",
        summary: "Whether schemas can be registered: always",
        answers: &[(200, "`READWRITE`", Content::Registry("RegistryMode"))],
        errors: &[401, 403],
        handler: || get(config::read_or_write),
        ..BASE
    },
];
