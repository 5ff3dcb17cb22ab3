//! The program: everything it does is in the library, where tests and documentation reach it.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use rate_limit_server::{Arguments, run};

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not `eprintln!`, which panics if nobody can read standard error.
            let _ = writeln!(std::io::stderr(), "{error}");
            error.exit_code()
        }
    }
}
