//! What a rejection says to people.

use rate_limit_core::Wait;

use super::form::{Blank, Writer, plural};
use super::problem::{name, told, violated};
use super::{Rejection, RejectionReason};
use crate::exposure::Exposure;

/// Says in a sentence or two what happened and what to do. Besides the quotation marks, which are
/// given, there is nothing in it that would have to be escaped anywhere.
pub(super) fn push_detail(text: &mut impl Writer, rejection: &Rejection<'_>, quotation_mark: &str) {
    let retry_after_seconds = rejection.retry_after_seconds;
    match rejection.reason {
        RejectionReason::Block => {
            return text.push("This client is not allowed to use the service.");
        }
        RejectionReason::MissingIdentity => {
            return text.push(
                "This request does not say who sends it, in the way that the service expects.",
            );
        }
        RejectionReason::ReducedCapacity => {
            text.push("Whether this request may pass cannot be decided at the moment. ");
        }
        RejectionReason::AbnormalUsage | RejectionReason::QuotaExceeded => {
            if rejection.exposure == Exposure::None {
                text.push("There were too many requests. ");
            } else if retry_after_seconds.is_some() {
                push_reached(text, rejection, quotation_mark);
            } else {
                push_never(text, rejection, quotation_mark);
            }
        }
    }
    match retry_after_seconds {
        Some(seconds) => {
            text.push("Try again in ");
            text.push_blank(Blank::RetryAfterSeconds, seconds);
            text.push(" second");
            text.push_blank(Blank::RetryAfterPlural, seconds);
            text.push(".");
        }
        None => text.push("Trying again does not help."),
    }
}

/// Names the limits that are reached.
fn push_reached(text: &mut impl Writer, rejection: &Rejection<'_>, mark: &str) {
    let Some(decision) = told(rejection) else {
        return;
    };
    let several = decision.violated().nth(1).is_some();
    let is_ban = rejection.reason == RejectionReason::AbnormalUsage;
    text.push(if several { "The limits of the policies " } else { "The limit of the policy " });
    push_quoted(text, decision.violated().map(name), mark);
    text.push(match (is_ban, several) {
        (false, false) => " is reached. ",
        (false, true) => " are reached. ",
        (true, false) => " was exceeded again and again. ",
        (true, true) => " were exceeded again and again. ",
    });
}

fn push_never(text: &mut impl Writer, rejection: &Rejection<'_>, mark: &str) {
    let never = violated(rejection).find(|one| one.outcome().wait == Wait::Never);
    let (units, most) = never.map_or((0, 0), |one| (one.units(), one.policy().capacity()));
    text.push("This request costs ");
    text.push_number(units);
    text.push(" unit");
    text.push(plural(units));
    text.push(", and the policy ");
    push_quoted(text, never.into_iter().map(name), mark);
    text.push(" never admits more than ");
    text.push_number(most);
    text.push(" at once. ");
}

/// Names in quotation marks, as one reads them out.
fn push_quoted<'a>(text: &mut impl Writer, names: impl Iterator<Item = &'a str>, mark: &str) {
    let mut names = names.peekable();
    let mut is_first = true;
    while let Some(name) = names.next() {
        if !is_first {
            text.push(if names.peek().is_some() { ", " } else { " and " });
        }
        is_first = false;
        text.push(mark);
        text.push(name);
        text.push(mark);
    }
}
