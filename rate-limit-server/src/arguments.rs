//! What can be said on the command line.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// The longest time. Nobody waits longer for a connection on purpose, and a clock has no instant for the
/// end of any time that can be written.
const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest time in which something has to happen. With none at all nobody would ever be served.
const MIN_TIME: Duration = Duration::from_millis(1);

/// How many connections can be allowed.
const CONNECTIONS: RangeInclusive<u32> = 1..=1_000_000;

/// What can be said on the command line. Everything else stands in the rules file.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "rate-limit-server",
    version,
    about = "Decides, for programs in any language: may this client do this now?",
    after_help = "The token for administration, and for everything off loopback, is the value of \
                  the variable RATE_LIMIT_TOKEN, or the text in a file (--token-file). It has at \
                  least 32 bytes.\n\nExit codes: 0 done, 1 the server could not work, 2 arguments \
                  or rules are refused."
)]
#[non_exhaustive]
pub struct Arguments {
    /// The rules file. Without one, every address may make 100 requests per minute.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where to listen. An address off loopback needs a token.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080",
          allow_hyphen_values = true, value_parser = address)]
    pub listen: SocketAddr,

    /// Where counters are kept, instead of what the rules file says: memory://, sqlite://limits.db,
    /// redis://host:6379, or env:NAME or file:PATH for where that is written, so that no password is seen here.
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,

    /// Check the rules file, print what its rules mean, and end.
    #[arg(long)]
    pub check: bool,

    /// The file that holds the token, instead of the variable RATE_LIMIT_TOKEN.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// The file to which administrative calls and bans are appended. Without one they are log lines.
    #[arg(long, value_name = "FILE")]
    pub audit_log: Option<PathBuf>,

    /// What makes the instance ready: `process`, that it runs; `store`, that its store answers.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = ReadyWhen::Process)]
    pub ready_when: ReadyWhen,

    /// How long requests that are under way may take to end once the server is told to stop. At most
    /// a day.
    #[arg(long, value_name = "TIME", default_value = "10s",
          allow_hyphen_values = true, value_parser = time)]
    pub grace: Duration,

    /// How many connections are open at once; further ones wait.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000,
          allow_hyphen_values = true, value_parser = count)]
    pub max_connections: u32,

    /// How long the head of a request may take, from its first byte on. From 1ms to a day.
    #[arg(long, value_name = "TIME", default_value = "10s",
          allow_hyphen_values = true, value_parser = some_time)]
    pub head_timeout: Duration,

    /// How long a connection may be idle, or take nothing of its answers. From 1ms to a day.
    #[arg(long, value_name = "TIME", default_value = "60s",
          allow_hyphen_values = true, value_parser = some_time)]
    pub idle_timeout: Duration,

    /// Which log lines are written.
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub log: LogLevel,
}

/// What makes an instance ready.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ReadyWhen {
    /// That it runs: without its store it decides by the failure modes of the policies.
    Process,
    /// That its store answers.
    Store,
}

/// Which log lines are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
#[allow(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

// Values may begin with a hyphen, so that "-1s" is refused for what it is and not as another option.

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    // A name would be asked of somebody, and may stand for several addresses.
    let expected = "expected an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080";
    text.parse().map_err(|_| expected)
}

fn time(text: &str) -> Result<Duration, &'static str> {
    let expected = "expected a time of at most a day, such as 10s, 500ms or 1m";
    between(text, Duration::ZERO).ok_or(expected)
}

fn some_time(text: &str) -> Result<Duration, &'static str> {
    let expected = "expected a time from 1ms to a day, such as 10s, 500ms or 1m";
    between(text, MIN_TIME).ok_or(expected)
}

fn between(text: &str, min: Duration) -> Option<Duration> {
    humantime::parse_duration(text).ok().filter(|time| (min..=MAX_TIME).contains(time))
}

fn count(text: &str) -> Result<u32, &'static str> {
    let count = text.parse().ok().filter(|count| CONNECTIONS.contains(count));
    count.ok_or("expected a whole number from 1 to 1000000")
}
