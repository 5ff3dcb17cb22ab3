//! What a rejection says to people.

use rate_limit_core::Wait;

use super::problem::{name, violated};
use super::{Rejection, RejectionReason};
use crate::exposure::Exposure;

/// As long as the text for a client that has exceeded two policies.
const USUAL_BYTES: usize = 192;

/// Says in a sentence or two what happened and what to do.
pub(super) fn detail(rejection: &Rejection<'_>) -> String {
    let mut text = String::with_capacity(USUAL_BYTES);
    match rejection.reason {
        RejectionReason::Block => {
            text.push_str("This client is not allowed to use the service.");
            return text;
        }
        RejectionReason::MissingIdentity => {
            text.push_str(
                "This request does not say who sends it, in the way that the service expects.",
            );
            return text;
        }
        RejectionReason::ReducedCapacity => {
            text.push_str("Whether this request may pass cannot be decided at the moment. ")
        }
        RejectionReason::AbnormalUsage | RejectionReason::QuotaExceeded => {
            if rejection.exposure == Exposure::None {
                text.push_str("There were too many requests. ");
            } else if rejection.retry_after_seconds().is_some() {
                push_reached(&mut text, rejection);
            } else {
                push_never(&mut text, rejection);
            }
        }
    }
    match rejection.retry_after_seconds() {
        Some(seconds) => {
            text.push_str("Try again in ");
            push_counted(&mut text, seconds, "second");
            text.push('.');
        }
        None => text.push_str("Trying again does not help."),
    }
    text
}

/// Names the limits that are reached.
fn push_reached(text: &mut String, rejection: &Rejection<'_>) {
    let several = violated(rejection).nth(1).is_some();
    let is_ban = rejection.reason == RejectionReason::AbnormalUsage;
    text.push_str(if several { "The limits of the policies " } else { "The limit of the policy " });
    push_quoted(text, violated(rejection).map(name));
    text.push_str(match (is_ban, several) {
        (false, false) => " is reached. ",
        (false, true) => " are reached. ",
        (true, false) => " was exceeded again and again. ",
        (true, true) => " were exceeded again and again. ",
    });
}

fn push_never(text: &mut String, rejection: &Rejection<'_>) {
    let never = violated(rejection).find(|one| one.outcome().wait == Wait::Never);
    let (units, most) = never.map_or((0, 0), |one| (one.units(), one.policy().capacity()));
    text.push_str("This request costs ");
    push_counted(text, units, "unit");
    text.push_str(", and the policy ");
    push_quoted(text, never.into_iter().map(name));
    text.push_str(" never admits more than ");
    push_number(text, most);
    text.push_str(" at once. ");
}

/// Names in quotation marks, as one reads them out.
fn push_quoted<'a>(text: &mut String, names: impl Iterator<Item = &'a str>) {
    let mut names = names.peekable();
    let mut is_first = true;
    while let Some(name) = names.next() {
        if !is_first {
            text.push_str(if names.peek().is_some() { ", " } else { " and " });
        }
        is_first = false;
        text.push('"');
        text.push_str(name);
        text.push('"');
    }
}

fn push_counted(text: &mut String, number: u64, noun: &str) {
    push_number(text, number);
    text.push(' ');
    text.push_str(noun);
    if number != 1 {
        text.push('s');
    }
}

fn push_number(text: &mut String, number: u64) {
    text.push_str(itoa::Buffer::new().format(number));
}
