//! `botstore`: what an operator does with a store's file, from a shell. One file for each noun. The
//! commands use the same functions and messages as a bot. Only `print` prints.

#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod advice;
mod amounts;
mod answer;
mod ask;
mod backups;
mod changing;
mod check;
mod dashboard;
mod escape;
mod export;
mod file;
mod keys;
mod limits;
mod mend;
mod objects;
mod pages;
mod paths;
mod prices;
mod print;
mod progress;
mod restore;
mod rows;
mod schema;
mod status;
mod text;
mod usage;

use answer::{Answer, Outcome, Shape};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use serde_json::json;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

/// Manages the file of a botstore: status, backups, migrations, exports.
#[derive(Parser)]
#[command(name = "botstore", bin_name = "botstore", version, after_help = answer::EXIT_CODES)]
struct Cli {
    /// Writes one JSON document to stdout, errors included
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Status(status::Status),
    Check(check::Check),
    Migrate(schema::Migrate),
    Rollback(schema::Rollback),
    Backup(backups::Take),
    Backups(backups::List),
    Verify(backups::Verify),
    Restore(restore::Restore),
    Prune(backups::Prune),
    Export(export::Export),
    Dashboard(dashboard::Dashboard),
    Prices(prices::Prices),
    Usage(usage::Usage),
    Limits(limits::Limits),
    /// Writes the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

fn main() -> ExitCode {
    print::report_panics();
    let shape = answer::shape_asked_for(std::env::args_os().skip(1));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return answer::usage(error, shape).into(),
    };
    let shape = match cli.json {
        true => Shape::Json,
        false => Shape::Text,
    };
    // Every command cleans up when a signal asks it to stop, if only by letting SQLite close the file.
    let work = || {
        progress::listen()
            .map_err(Into::into)
            .and_then(|()| run(cli.command, shape))
    };
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => answer::write(outcome, shape).into(),
        Err(_) => answer::report_panic(shape),
    }
}

fn run(command: Command, shape: Shape) -> Outcome {
    match command {
        Command::Status(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Migrate(command) => command.run(),
        Command::Rollback(command) => command.run(),
        Command::Backup(command) => command.run(),
        Command::Backups(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Restore(command) => command.run(),
        Command::Prune(command) => command.run(),
        Command::Export(command) => command.run(shape),
        Command::Dashboard(command) => command.run(),
        Command::Prices(command) => command.run(),
        Command::Usage(command) => command.run(),
        Command::Limits(command) => command.run(),
        Command::Completions { shell } => Ok(completions(shell)),
    }
}

fn completions(shell: Shell) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "botstore", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let json = json!({ "shell": shell.to_string(), "script": script });
    Answer::fine(script, json)
}
