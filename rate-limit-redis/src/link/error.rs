//! Why a call has no answer, and what that says about the server.

use std::sync::Arc;

use rate_limit_core::{RepositoryError, RepositoryErrorKind};
use redis::{RedisError, ServerError};
use thiserror::Error;

use crate::guard::breaker::{Failure, Report};
use crate::health::AwayReason;

/// Why a call has no answer. Cheap to copy, because many callers may share one call.
#[derive(Clone, Debug, Error)]
pub(crate) enum LinkError {
    /// There is no connection; nothing was sent.
    #[error("the server {0}")]
    Away(AwayReason),
    /// The breaker is open; nothing was sent.
    #[error("the breaker is open")]
    BreakerOpen,
    /// Too many calls are under way; nothing was sent.
    #[error("as many calls as allowed are under way")]
    BulkheadFull,
    /// The slot is being moved to another node and has not arrived; nothing ran.
    #[error("the slot of the keys is being moved between nodes of the cluster")]
    SlotMoving,
    /// No reply came within the deadline.
    #[error("no reply came within the deadline")]
    TimedOut,
    /// The connection broke before the reply came.
    #[error("the connection broke: {0}")]
    Lost(Arc<str>),
    /// The server replied with an error.
    #[error("the server replied {code}: {detail}")]
    Refused {
        /// The first word of the reply.
        code: Arc<str>,
        /// The rest of it.
        detail: Arc<str>,
    },
    /// The reply is none of ours.
    #[error("the reply has an unexpected form: {0}")]
    Corrupt(&'static str),
}

impl LinkError {
    /// The error in a reply of the server.
    pub(crate) fn from_reply(error: &ServerError) -> Self {
        Self::refused(error.code(), error.details().unwrap_or_default())
    }

    fn refused(code: &str, detail: &str) -> Self {
        let (code, detail) = within_script(code, detail).unwrap_or((code, detail));
        Self::Refused { code: Arc::from(code), detail: Arc::from(detail) }
    }

    /// What kept the reply from coming.
    pub(crate) fn from_transport(error: &RedisError) -> Self {
        match error.code() {
            Some(code) => Self::refused(code, error.detail().unwrap_or_default()),
            None => Self::Lost(Arc::from(error.to_string())),
        }
    }

    /// The error code of the server's reply, if it was one.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// What the error says about the server.
    pub(crate) fn report(&self) -> Report {
        match self {
            Self::Away(_) | Self::BreakerOpen | Self::BulkheadFull | Self::SlotMoving => {
                Report::Inconclusive
            }
            Self::TimedOut | Self::Lost(_) => Report::Failure(Failure::Silence),
            // They prove that the server works; whoever can follow them has done so.
            Self::Refused { code, .. } if matches!(&**code, "MOVED" | "ASK" | "TRYAGAIN") => {
                Report::Inconclusive
            }
            Self::Refused { .. } | Self::Corrupt(_) => Report::Failure(Failure::Refusal),
        }
    }

    /// Why the connection is of no use any more, if that is so.
    pub(crate) fn ends_connection(&self) -> Option<AwayReason> {
        let code = match self {
            Self::Lost(cause) => return Some(AwayReason::Lost { cause: Arc::clone(cause) }),
            Self::Refused { code, .. } => code,
            _ => return None,
        };
        match &**code {
            "READONLY" | "MASTERDOWN" => Some(AwayReason::NotMaster),
            "LOADING" => Some(AwayReason::Loading),
            "NOAUTH" | "WRONGPASS" => Some(AwayReason::WrongCredentials { code: Arc::clone(code) }),
            _ => None,
        }
    }

    fn kind(&self) -> RepositoryErrorKind {
        match self {
            Self::Away(reason) if reason.needs_action() => RepositoryErrorKind::Misconfigured,
            Self::Away(_) | Self::BreakerOpen | Self::SlotMoving | Self::Lost(_) => {
                RepositoryErrorKind::Unavailable
            }
            Self::BulkheadFull => RepositoryErrorKind::Overloaded,
            Self::TimedOut => RepositoryErrorKind::Timeout,
            Self::Corrupt(_) => RepositoryErrorKind::Corrupt,
            Self::Refused { code, .. } => match &**code {
                "NOAUTH" | "WRONGPASS" | "NOPERM" | "CROSSSLOT" => {
                    RepositoryErrorKind::Misconfigured
                }
                // What a script of ours or the command itself complains about.
                "ERR" | "WRONGTYPE" => RepositoryErrorKind::Corrupt,
                _ => RepositoryErrorKind::Unavailable,
            },
        }
    }
}

/// What a command complained about that a script called. Since Redis 7 the reply is that command's
/// own; before, it is `ERR` whatever happened, and the complaint stands at the end of it.
fn within_script<'a>(code: &str, detail: &'a str) -> Option<(&'a str, &'a str)> {
    if code != "ERR" || !detail.starts_with("Error running script") {
        return None;
    }
    let (_, complaint) = detail.rsplit_once(": -")?;
    let (code, detail) = complaint.split_once(' ').unwrap_or((complaint, ""));
    let is_code = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase());
    is_code.then_some((code, detail))
}

impl From<LinkError> for RepositoryError {
    fn from(error: LinkError) -> Self {
        Self::with_source(error.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> LinkError {
        LinkError::Refused { code: code.into(), detail: "".into() }
    }

    #[test]
    fn what_the_server_cannot_help_counts_and_redirections_do_not() {
        for code in [
            "READONLY",
            "LOADING",
            "OOM",
            "BUSY",
            "CLUSTERDOWN",
            "MASTERDOWN",
            "NOREPLICAS",
            "MISCONF",
            "NOAUTH",
            "NOPERM",
            "ERR",
            "WRONGTYPE",
        ] {
            let report = refused(code).report();
            assert_eq!(report, Report::Failure(Failure::Refusal), "{code}");
        }
        for code in ["MOVED", "ASK", "TRYAGAIN"] {
            assert_eq!(refused(code).report(), Report::Inconclusive, "{code}");
        }
        assert_eq!(LinkError::TimedOut.report(), Report::Failure(Failure::Silence));
        assert_eq!(LinkError::Lost("x".into()).report(), Report::Failure(Failure::Silence));
        assert_eq!(LinkError::Corrupt("x").report(), Report::Failure(Failure::Refusal));
        assert_eq!(LinkError::BulkheadFull.report(), Report::Inconclusive);
        assert_eq!(LinkError::Away(AwayReason::Silent).report(), Report::Inconclusive);
    }

    #[test]
    fn only_what_a_new_connection_may_cure_ends_the_old_one() {
        for code in ["READONLY", "MASTERDOWN", "LOADING", "NOAUTH", "WRONGPASS"] {
            assert!(refused(code).ends_connection().is_some(), "{code}");
        }
        for code in ["OOM", "BUSY", "MISCONF", "NOREPLICAS", "NOPERM", "CLUSTERDOWN", "ERR"] {
            assert!(refused(code).ends_connection().is_none(), "{code}");
        }
    }

    /// The texts of Redis 6.2.14.
    #[test]
    fn what_a_command_in_a_script_complains_about_is_found_where_the_reply_is_the_scripts() {
        let script = "Error running script (call to f_6bbc2e149f521a5f68d512eea6b32c6633f3659b): \
                      @user_script:1: ";
        for (complaint, code, said) in [
            ("-READONLY You can't write against a read only replica.", "READONLY", "You can't"),
            ("-OOM command not allowed when used memory > 'maxmemory'.", "OOM", "command not"),
            (
                "-MISCONF Redis is configured to save RDB snapshots, but it is currently not able \
                 to persist on disk. Commands that may modify the data set are disabled, because \
                 this instance is configured to report errors during writes if RDB snapshotting \
                 fails (stop-writes-on-bgsave-error option). Please check the Redis logs for \
                 details about the RDB error.",
                "MISCONF",
                "Redis is configured",
            ),
            ("-NOREPLICAS Not enough good replicas to write.", "NOREPLICAS", "Not enough"),
        ] {
            let detail = format!("{script}@user_script: 1: {complaint}");
            let error = LinkError::refused("ERR", &detail);
            let LinkError::Refused { code: found, detail } = &error else { panic!("{error}") };
            assert_eq!(&**found, code);
            assert!(detail.starts_with(said), "{detail}");
        }
        // Redis 7 and later, and complaints that carry no code of their own.
        for (code, detail) in [
            (
                "READONLY",
                "You can't write against a read only replica. script: \
                 6bbc2e149f521a5f68d512eea6b32c6633f3659b, on @user_script:1.",
            ),
            ("NOPERM", "this user has no permissions to access one of the keys used as arguments"),
            (
                "ERR",
                "Error running script (call to f_6bbc2e149f521a5f68d512eea6b32c6633f3659b): \
                 @user_script:1: @user_script: 1: The user executing the script can't run this \
                 command or subcommand",
            ),
            (
                "ERR",
                "Error running script (call to f_dbafed325e02e5a72def04db03ab922632f5e30e): \
                 @user_script:1: user_script:1: attempt to index local 'x' (a nil value)",
            ),
        ] {
            assert_eq!(LinkError::refused(code, detail).code(), Some(code), "{detail}");
        }
    }

    #[test]
    fn kinds_tell_callers_who_has_to_act() {
        let kind = |error: LinkError| RepositoryError::from(error).kind();
        assert_eq!(kind(refused("NOPERM")), RepositoryErrorKind::Misconfigured);
        assert_eq!(kind(refused("OOM")), RepositoryErrorKind::Unavailable);
        assert_eq!(kind(LinkError::TimedOut), RepositoryErrorKind::Timeout);
        assert_eq!(kind(LinkError::BulkheadFull), RepositoryErrorKind::Overloaded);
        assert_eq!(kind(LinkError::Corrupt("x")), RepositoryErrorKind::Corrupt);
        let away = |reason| kind(LinkError::Away(reason));
        assert_eq!(away(AwayReason::Silent), RepositoryErrorKind::Unavailable);
        let refused = AwayReason::WrongCredentials { code: "WRONGPASS".into() };
        assert_eq!(away(refused), RepositoryErrorKind::Misconfigured);
    }
}
