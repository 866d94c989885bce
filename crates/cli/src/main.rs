//! The command `alluvium`: reads the command line, runs one command, ends with its exit code.

mod args;
mod commands;
mod contracts;
mod error;
mod load;
mod logging;
mod memory;
mod output;
mod process;
mod render;
mod rest;
mod runbooks;
mod templates;
mod wire;

use alluvium_model::Exit;
use args::Cli;
use clap::Parser;
use error::CliError;
use signal_hook::low_level;
use std::{
    io::{Write as _, stdout},
    panic,
    time::Duration,
};
use tokio::runtime::Builder;

/// Expressions are walked by recursion where they are executed, too. It is memory only as far as it is used.
const STACK_BYTES: usize = 16 << 20;
/// Of the first thread, which plans what a command asks: without optimisation a long chain of operators takes most of the
/// eight megabytes that a system gives.
const FIRST_STACK_BYTES: usize = 64 << 20;
/// What a thread has freed is its own until it ends or asks for more: those that wait for work hold as much as those that do it.
const THREADS_WAIT: Duration = Duration::from_millis(200);

#[global_allocator]
static ALLOCATOR: memory::Allocator = memory::Allocator;

fn main() -> ! {
    let cli = Cli::parse();
    logging::start(&cli.global);
    let exit = match start(&cli) {
        Ok(exit) => exit,
        Err(error) => {
            render::diagnostic::error(&error, cli.global.format);
            error.exit()
        }
    };
    // One whose reader is gone has nothing to tell.
    let _ = stdout().flush();
    // The allocator would go through all that it ever held before it lets the process end.
    low_level::exit(exit as i32)
}

fn start(cli: &Cli) -> Result<Exit, CliError> {
    let runtime = runtime().build().map_err(CliError::Runtime)?;
    let done = stacker::grow(FIRST_STACK_BYTES, || runtime.block_on(commands::dispatch(cli)));
    // Threads that still read for a command that was stopped must not hold up its end. What they wait for ends with the runtime, and
    // some panic over that: it tells nobody anything.
    panic::set_hook(Box::new(|_| ()));
    runtime.shutdown_background();
    done
}

fn runtime() -> Builder {
    let mut runtime = Builder::new_multi_thread();
    runtime.enable_all().thread_stack_size(STACK_BYTES).thread_keep_alive(THREADS_WAIT);
    runtime
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// The default is ten seconds.
    #[test]
    fn threads_that_find_no_work_end_soon() {
        let (ends, ended) = mpsc::channel();
        let ends_one = move || {
            let _ = ends.send(());
        };
        let runtime = runtime().on_thread_stop(ends_one).build().expect("a runtime");
        runtime.block_on(async { tokio::task::spawn_blocking(|| ()).await }).expect("done");
        ended.recv_timeout(Duration::from_secs(9)).expect("the thread that waits for more ends");
    }
}
