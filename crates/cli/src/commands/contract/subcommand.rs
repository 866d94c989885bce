//! From the arguments of `alluvium contract` to one of its subcommands.

use super::{diff, export, infer, lint, show, test};
use crate::{
    args::{Global, OfContract},
    error::CliError,
};
use alluvium_model::Exit;

pub async fn contract(global: &Global, what: &OfContract) -> Result<Exit, CliError> {
    match what {
        OfContract::Test { contract, files, dataset, to } => {
            test::test(global, contract, files, dataset.as_ref(), to.as_ref()).await
        }
        OfContract::Infer { files, name, sample, write, force } => {
            infer::infer(
                global,
                files,
                &infer::Asked { name: name.as_deref(), sample: *sample, write: *write, force: *force },
            )
            .await
        }
        OfContract::Show { contract } => show::show(global, contract),
        OfContract::Export { contract, language, to } => export::export(global, contract, *language, to.as_ref()),
        OfContract::Lint { contracts } => lint::lint(global, contracts),
        OfContract::Diff { files, mode } => diff::diff(global, files, *mode).await,
    }
}
