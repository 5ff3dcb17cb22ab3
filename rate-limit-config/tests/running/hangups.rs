//! Reloading on SIGHUP.

use std::process::Command;

use rate_limit_config::{Environment, Reloader};

use crate::support::{Limited, Scratch, eventually, request};

fn text(limit: u64) -> String {
    format!("[[rule]]\nname = \"api\"\nlimit = \"{limit}/min\"\n")
}

/// Nobody watches the file, so nothing but the signal can be the reason. All in one test, because
/// every listener of a process hears every signal.
#[test]
fn a_hangup_reads_the_file_again_and_is_not_the_end_of_the_process() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _inside = runtime.enter();
    let scratch = Scratch::new("hangup");
    let path = scratch.write("limits.toml", &text(100));
    let mut limited = Limited::by(&text(100));
    let reloader = Reloader::of_file(limited.layer.clone(), &path, Environment::empty());
    runtime.spawn(reloader.reload_on_hangup().unwrap());
    let hang_up = || {
        let process = std::process::id().to_string();
        assert!(Command::new("kill").args(["-HUP", &process]).status().unwrap().success());
    };

    assert_eq!(limited.passing(60, request), 60);
    scratch.write("limits.toml", &text(200));
    assert_eq!(reloader.status().applied, 0);
    hang_up();
    eventually("the reload", || reloader.status().applied == 1);
    let told = limited.ask(request());
    assert_eq!((told.limit, told.remaining), (Some(200), Some(79)));

    scratch.write("limits.toml", "nonsense");
    hang_up();
    eventually("the refusal", || reloader.status().refused == 1);
    assert_eq!((limited.layer.version(), limited.ask(request()).limit), (2, Some(200)));

    // Also a file that says what it said before: a secret that it refers to may be another one.
    scratch.write("limits.toml", &text(200));
    hang_up();
    eventually("another reload", || reloader.status().applied == 2);
    assert_eq!(limited.ask(request()).remaining, Some(77), "and nothing is forgiven");
}
