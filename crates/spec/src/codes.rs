//! Every code a diagnostic can carry, with what it means and what to do. Its runbook in `docs/runbooks/` says the same.
//!
//! [`Code`] can only be made here, so a code that is not in [`CODES`] cannot be emitted.

use crate::diagnostic::Level;

/// The head of a runbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct CodeDoc {
    pub code: &'static str,
    pub severity: Level,
    pub title: &'static str,
    pub explanation: &'static str,
    pub remedy: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) id: &'static str,
    pub(crate) level: Level,
}

macro_rules! codes {
    ($($name:ident $id:literal $level:ident $title:literal $explanation:literal $remedy:literal;)*) => {
        $(pub(crate) const $name: Code = Code { id: $id, level: Level::$level };)*

        /// By code.
        pub const CODES: &[CodeDoc] = &[
            $(CodeDoc { code: $id, severity: Level::$level, title: $title, explanation: $explanation, remedy: $remedy },)*
        ];
    };
}

codes! {
    UNREADABLE "E0001" Error "file or folder cannot be read"
        "A project file, or the project's folder, is missing, is no regular file, or may not be read; or a folder has no alluvium.yaml and so is no project."
        "Check the path and its permissions; `alluvium init` makes a new project.";
    NOT_UTF8 "E0002" Error "file is not UTF-8"
        "Project files are read as UTF-8 text."
        "Save the file as UTF-8.";
    TOO_LARGE "E0003" Error "file is too large or too deep"
        "A project file has up to 4 MiB, 64 levels and 200,000 values; aliases count each time they are used. A library has up to 1,000 functions with 1,000 cases each; with what they call written out they have up to 100,000 parts and 4 MiB."
        "Split the definition, or move data out of it.";
    YAML "E0004" Error "not YAML"
        "The text breaks YAML's syntax, or holds more than one document."
        "Look at the place shown; most often an indentation, a quote or a bracket is wrong.";
    WRONG_TYPE "E0005" Error "value of the wrong kind"
        "A list, mapping, text, number or boolean stands where another kind is needed."
        "Write the kind of value that the message asks for.";
    DUPLICATE_KEY "E0006" Error "key written twice"
        "A mapping names each key once; otherwise one of the two values would be ignored."
        "Keep one of them.";
    UNKNOWN_KEY "E0007" Error "unknown key"
        "A key that nothing reads is a mistake, most often a misspelling."
        "Use the suggested name, or remove the key. In contracts, `customProperties` takes keys of your own.";
    MISSING_KEY "E0008" Error "missing key"
        "A key without which the definition has no meaning is absent or has no value."
        "Add the key.";
    INVALID_VALUE "E0009" Error "value that cannot be used"
        "A value has the right kind and cannot be read as a size, a span of time, a share, a pattern or a name."
        "Write it in the form that the message shows.";
    NOT_A_CHOICE "E0010" Error "not one of the known words"
        "The key takes one of a fixed set of words."
        "Use one of the words in the help.";
    NOT_AVAILABLE "E0011" Error "not available yet in this version"
        "The design knows this, this version does not do it. It is refused so that nothing is silently left out."
        "Remove it, or use a later version.";
    PATH_OUTSIDE "E0013" Error "path leaves the project"
        "A project may only name folders inside itself, or below those that `allow_paths` in alluvium.yaml lists."
        "Use a folder inside the project, or add its absolute path to `allow_paths`.";
    MISPLACED "E0014" Error "file in the wrong place"
        "Definitions are `datasets/bronze/*.yaml`, `datasets/silver/*.yaml`, `datasets/gold/*.sql`, `contracts/*.odcs.yaml`, `library/*.sql` and `library/*.test.yaml`; names are lower case letters, digits and underscores."
        "Rename or move the file.";
    UNKNOWN_ENVIRONMENT "E0015" Error "unknown environment"
        "The environment asked for is neither `dev` nor listed under `environments` in alluvium.yaml."
        "List it there, or use one that is.";
    YAML_FEATURE "E0018" Error "YAML feature that is not read"
        "Tags and merge keys are not read."
        "Write the values out.";
    UNKNOWN_DATASET "E0101" Error "unknown dataset"
        "A name is written where a dataset of this project is needed, and there is no such dataset."
        "Use the suggested name, or add the dataset.";
    LAYER "E0102" Error "a layer reads what it must not"
        "Bronze reads sources, silver reads bronze or silver, gold reads silver or gold; lookups and references are silver or gold."
        "Read a dataset of an allowed layer.";
    CYCLE "E0103" Error "datasets read each other in a circle"
        "No order of computing them exists."
        "Remove one of the reads shown.";
    DUPLICATE_DATASET "E0104" Error "two files define one dataset"
        "A dataset's name is its layer and its file's name; folders below the layer do not count."
        "Rename one of the files.";
    UNKNOWN_CONTRACT "E0106" Error "unknown contract"
        "`contract` names a file of the contracts folder without `.odcs.yaml`."
        "Use the suggested name, or add the contract.";
    UNKNOWN_COLUMN "E0107" Error "unknown column"
        "The name is no column at this point: neither the contract has it nor does a step make it."
        "Use the suggested name, or add the column to the contract.";
    STEPS "E0108" Error "steps that make no sense together"
        "A silver dataset validates exactly once, and normalizes texts before that."
        "Reorder the steps as the message says.";
    CONTRADICTION "E0109" Error "values that contradict each other"
        "Two settings of one definition cannot both hold."
        "Correct one of them.";
    UNKNOWN_SINK "E0120" Error "unknown sink"
        "`publish` and `alerts` name sinks of the project, and there is no such sink."
        "Use the suggested name, or add the sink under `sinks` in alluvium.yaml.";
    DRIFT_POLICY "E0140" Error "drift that cannot be handled so"
        "Not every policy makes sense for every kind of drift: what is missing cannot be rescued, and a column keeps its type."
        "Use one of the policies in the help.";
    SQL_SYNTAX "E0201" Error "not SQL"
        "The statement cannot be parsed."
        "Look at the place shown.";
    SQL_STATEMENT "E0202" Error "not a single query"
        "A definition holds one SELECT (or WITH … SELECT); nothing that writes, defines, copies or locks."
        "Keep one SELECT.";
    SQL_TABLE "E0203" Error "reads something that is no dataset"
        "SQL of a project reads datasets by `layer.name` and nothing else: no files, no table functions."
        "Read a dataset; files come in through a bronze dataset.";
    SQL_ROW "E0204" Error "not row by row"
        "A `sql` step and a row rule see one row: no join, aggregate, window function, subquery, DISTINCT, ORDER BY or LIMIT."
        "Move it into a gold dataset, or use `enrich` for a lookup.";
    SQL_UNSTABLE "E0205" Error "result depends on time or chance"
        "The same files have to give the same tables in any order and at any time, so now(), current_date, random() and uuid() are refused."
        "Use a column of the data instead.";
    SQL_SIZE "E0206" Error "SQL too long"
        "A statement has up to 5,000 words and signs."
        "Put long lists into a dataset and join it.";
    CONDITION "E0207" Error "not a condition over what waits"
        "`when` compares numbers and measures of what waits (received, loaded, quarantined, dropped, dead, duplicates, late, steps, age_seconds), with AND, OR, NOT and + - * /."
        "Write it as `received >= 1000 AND quarantined * 100 < received`.";
    FUNCTION "E0265" Error "not a function of a library"
        "Files of `library/` hold `CREATE FUNCTION name(a TYPE, …) RETURNS TYPE RETURN expression;`, an expression over its parameters and nothing else."
        "Write it in that form; what reads tables belongs into a dataset.";
    UNKNOWN_FUNCTION "E0266" Error "unknown function"
        "Neither the engine nor the project's library has a function of that name."
        "Use the suggested name, or define the function in `library/`.";
    FUNCTION_CALL "E0267" Error "call that does not fit its function"
        "A function of the library is called with one expression for each parameter, in their order, and with nothing else: no DISTINCT, FILTER or OVER."
        "Call it as its signature in the help says.";
    FUNCTION_NAME "E0268" Error "name that a function cannot have"
        "A function of the library has a name of its own: neither the engine nor another file has one of that name."
        "Give it another name.";
    FUNCTION_SIZE "E0269" Error "functions that cannot be written out"
        "A call is replaced by the function's expression. Functions that call each other in a circle have none, and what others call many times becomes too long or too deep."
        "Remove a call of the circle, or compute the inner part once, in a step or a subquery.";
    ODCS_VERSION "E0301" Error "not a contract that is read"
        "Contracts are ODCS documents, `kind: DataContract`, `apiVersion: v3.0.0` to `v3.2.0`; a later v3 is read with a warning."
        "Correct these keys, or convert the contract.";
    CONTRACT_OBJECT "E0302" Error "no schema object to use"
        "A contract with several objects is used for the one named like its file."
        "Name an object like the file, or keep one object a file.";
    COLUMN_TYPE "E0303" Error "type that cannot be used"
        "`logicalType` and `physicalType` do not give a column type, or disagree."
        "Use a logicalType of ODCS; write decimals as `decimal(precision, scale)`, precision 1 to 38.";
    TYPE_OPTION "E0304" Error "option does not fit the type"
        "`logicalTypeOptions` depend on `logicalType`."
        "Remove the option or change the type.";
    QUALITY_RULE "E0305" Error "incomplete or contradictory quality rule"
        "A library rule has a metric and one operator, a SQL rule a query and one operator, a custom rule an engine and an implementation."
        "Complete the rule as the message says.";
    THRESHOLD_ACTION "E0306" Error "threshold on a rule that acts on single rows"
        "`quarantine` and `drop` decide row by row, so they cannot depend on how many rows break the rule. A tolerated number of rows goes with `warn` or `fail`."
        "Set the action to `warn` or `fail`, or allow no row.";
    RULE_ACTION "E0307" Error "action that cannot be used here"
        "Row rules warn, quarantine, drop or fail; rules about the whole dataset warn or fail."
        "Use one of the allowed actions.";
    UNKNOWN_REFERENCE "E0308" Error "reference to nothing"
        "A relationship names a column of a silver or gold dataset, by contract object or by dataset."
        "Write `<object>.<property>` or `<layer>.<dataset>.<column>`.";
    DUPLICATE_RULE "E0309" Error "two rules of one name"
        "Quarantined rows name the rules that they broke, so names are unique in a contract."
        "Rename one of the rules.";
    PATTERN "E0310" Error "pattern that cannot be used"
        "Patterns run in time linear in the text, so look-around and back references are not available."
        "Write the pattern without them, or use a custom rule with a SQL expression.";
    COLUMN_NAME "E0311" Error "column name that cannot be used"
        "A column's name is used twice, is reserved, or has characters that a table cannot take."
        "Rename the column.";
    SCHEMA "E0312" Error "schema that cannot be read"
        "An Avro schema or a JSON Schema names a type that it does not define, defines one twice, or is no schema."
        "Correct it at the place shown; a schema that refers to other files has to be put together first.";
    INCOMPATIBLE "E0350" Error "contract that breaks its compatibility mode"
        "The contract changed since the version that is in force, and the change breaks the mode that the contract declares."
        "Make the smaller change that the message names, or accept this one once with `--accept`.";
    RULE_NOT_RUN "W0001" Warning "rule that is not run"
        "The rule is written for another engine, points outside of the project, or stands inside of a column where it cannot be run; it stays documentation."
        "Write it as a library metric, as SQL, or with `engine: alluvium`.";
    OPTION_NOT_USED "W0002" Warning "option without effect"
        "The option is valid ODCS and this version does not act on it."
        "Keep it as documentation, or say it in another way.";
    TESTS_NOT_RUN "W0003" Warning "project tests are not run yet"
        "The folder `tests/` holds cases that this version does not run."
        "Nothing to do.";
    FOR_PEOPLE "W0004" Warning "told to people only"
        "The contract says something that looks like an instruction, and nothing here acts on it. Only `contract lint` tells this."
        "Keep it as documentation, or say it where it is acted on.";
    DEPRECATED "W0005" Warning "deprecated in the standard"
        "The version of ODCS that the contract names writes this in another way. It is read all the same; only `contract lint` tells this."
        "Write it in the new way when you change the contract.";
    LATER_STANDARD "W0006" Warning "of a later version of the standard"
        "The contract names a version of ODCS v3 that is not known here. It is read as the newest known one, and keys that this one lacks stay documentation."
        "Check that nothing of importance stands in these keys; a later version may read them.";
    NOT_KEPT_UNIQUE "W0007" Warning "uniqueness that nothing keeps"
        "The contract has a primary key or a `unique` for a silver table that is appended to, or upserted by other keys. It is checked among the rows of each step, and rows of two steps can be equal in it."
        "Write the table by `write: { keys: […] }`, or add the SQL rule that the message shows, which tells of it over the whole table.";
    UNPROMISED "W0050" Warning "contract that cannot read what was written before"
        "The contract changed since the version that is in force, and breaks BACKWARD. It declares no mode, so it is registered all the same."
        "Declare `alluvium.compatibility` in the contract to have such changes refused.";
    NOT_COMPARED "W0051" Warning "contracts not compared with their versions"
        "The state cannot be read, so the contracts were checked by themselves only."
        "Make the state readable from here, or leave the comparison to `alluvium run`.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        let ids: Vec<&str> = CODES.iter().map(|c| c.code).collect();
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(ids, sorted);
        for c in CODES {
            assert_eq!(c.code.starts_with('W'), c.severity == Level::Warning, "{}", c.code);
            assert!(c.explanation.ends_with('.') && c.remedy.ends_with('.'), "{}", c.code);
        }
    }
}
