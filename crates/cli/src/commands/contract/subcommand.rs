//! From the arguments of `alluvium contract` to one of its subcommands.

use super::{diff, export, lint, test};
use crate::{
    args::{Global, OfContract},
    error::CliError,
};
use alluvium_model::Exit;

pub async fn contract(global: &Global, what: &OfContract) -> Result<Exit, CliError> {
    match what {
        OfContract::Test { contract, files, to } => test::test(global, contract, files, to.as_ref()).await,
        OfContract::Export { contract, language, to } => export::export(global, contract, *language, to.as_ref()),
        OfContract::Lint { contracts } => lint::lint(global, contracts),
        OfContract::Diff { files, mode } => diff::diff(global, files, *mode).await,
    }
}
