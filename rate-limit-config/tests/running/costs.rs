//! What requests cost, and which of them count.

use http::Method;

use crate::support::{Limited, get, request, with};

fn window(limit: u64, more: &str) -> Limited {
    Limited::by(&format!(
        "[[rule]]\nname = \"api\"\n{more}\n\
         limit = {{ limit = {limit}, window = \"1h\", algorithm = \"fixed_window\" }}\n"
    ))
}

#[test]
fn a_fixed_cost() {
    let mut limited = window(10, "cost = 4");
    assert_eq!(limited.statuses([request(), request(), request()]), [200, 200, 429]);
}

/// P06: charged whole or refused whole, and nobody understates.
#[test]
fn a_cost_from_a_header() {
    let mut limited =
        window(100, r#"cost = { header = "x-parts", min = 2, max = 50, default = 5 }"#);
    let mut used = 0;
    for (says, costs) in
        [("7", 7), (" 7 ", 7), ("0", 2), ("1", 2), ("51", 50), ("99999999999999999999999", 50)]
    {
        let mut limited =
            window(100, r#"cost = { header = "x-parts", min = 2, max = 50, default = 5 }"#);
        assert_eq!(
            limited.ask(with(request(), "x-parts", says)).remaining,
            Some(100 - costs),
            "{says}"
        );
    }
    for says in ["-1", "+3", "1.5", "NaN", "", "x", "0x10"] {
        used += 5;
        assert_eq!(
            limited.ask(with(request(), "x-parts", says)).remaining,
            Some(100 - used),
            "{says}"
        );
    }
    used += 5;
    let twice = with(with(request(), "x-parts", "2"), "x-parts", "2");
    assert_eq!(limited.ask(twice).remaining, Some(100 - used), "nobody knows which one is meant");
    assert_eq!(limited.ask(with(request(), "x-parts", "50")).remaining, Some(10));
    let told = limited.ask(with(request(), "x-parts", "11"));
    assert_eq!((told.status, told.remaining), (429, Some(10)), "refused whole");
}

#[test]
fn a_cost_by_method() {
    let mut limited = window(20, "cost = { methods = { GET = 1, POST = 10 }, default = 3 }");
    let mut ask = |method: Method| {
        let mut request = get("/");
        *request.method_mut() = method;
        limited.ask(request).remaining
    };
    assert_eq!(ask(Method::GET), Some(19));
    assert_eq!(ask(Method::POST), Some(9));
    assert_eq!(ask(Method::PUT), Some(6));
}

#[test]
fn only_failures_count() {
    let mut limited = window(3, "count = \"failures\"");
    let answered = |status: &str| with(request(), "x-answer", status);
    assert_eq!(limited.passing(50, request), 50);
    let statuses = limited.statuses(["401", "200", "500", "404", "200", "401"].map(answered));
    assert_eq!(statuses, [401, 200, 500, 404, 429, 429]);
}
