//! What a rejection says to people.

use rate_limit_core::Wait;

use super::problem::{name, violated};
use super::{Rejection, RejectionReason};
use crate::exposure::Exposure;

/// Says in a sentence or two what happened and what to do.
pub(super) fn detail(rejection: &Rejection<'_>) -> String {
    let seconds = rejection.retry_after_seconds();
    match rejection.reason {
        RejectionReason::Block => "This client is not allowed to use the service.".to_owned(),
        RejectionReason::MissingIdentity => {
            "This request does not say who sends it, in the way that the service expects."
                .to_owned()
        }
        RejectionReason::ReducedCapacity => format!(
            "Whether this request may pass cannot be decided at the moment. {}",
            try_again(seconds)
        ),
        RejectionReason::AbnormalUsage | RejectionReason::QuotaExceeded => match seconds {
            _ if rejection.exposure == Exposure::None => {
                format!("There were too many requests. {}", try_again(seconds))
            }
            None => never(rejection),
            Some(_) => format!("{} {}", reached(rejection), try_again(seconds)),
        },
    }
}

/// Names the limits that are reached.
fn reached(rejection: &Rejection<'_>) -> String {
    let names = quoted(violated(rejection).map(name));
    let several = violated(rejection).nth(1).is_some();
    let limits = if several { "limits of the policies" } else { "limit of the policy" };
    let is_ban = rejection.reason == RejectionReason::AbnormalUsage;
    let reached = match (is_ban, several) {
        (false, false) => "is reached",
        (false, true) => "are reached",
        (true, false) => "was exceeded again and again",
        (true, true) => "were exceeded again and again",
    };
    format!("The {limits} {names} {reached}.")
}

fn never(rejection: &Rejection<'_>) -> String {
    let never = violated(rejection).find(|one| one.outcome().wait == Wait::Never);
    let (units, most) = never.map_or((0, 0), |one| (one.units(), one.policy().capacity()));
    let names = quoted(never.into_iter().map(name));
    format!(
        "This request costs {}, and the policy {names} never admits more than {most} at once. {}",
        counted(units, "unit"),
        try_again(None)
    )
}

/// Names in quotation marks, as one reads them out.
fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    match names.split_last() {
        Some((last, rest @ [_, ..])) => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

fn try_again(seconds: Option<u64>) -> String {
    match seconds {
        Some(seconds) => format!("Try again in {}.", counted(seconds, "second")),
        None => "Trying again does not help.".to_owned(),
    }
}

fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
