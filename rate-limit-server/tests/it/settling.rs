//! `POST /settle`.

use serde_json::{Value, json};

use crate::server::Server;

fn check(server: &Server, cost: u64, receipt: bool) -> Value {
    let question = json!({
        "tenantId": "acme", "key": "k", "limit": 10, "windowSeconds": 3600,
        "cost": cost, "receipt": receipt,
    });
    server.post("/check", &question.to_string()).json()
}

fn settle(server: &Server, receipt: &str, cost: u64) -> (u16, Value) {
    let body = json!({ "receipt": receipt, "cost": cost }).to_string();
    let answer = server.post("/settle", &body);
    (answer.status, answer.json())
}

#[test]
fn what_was_charged_is_settled_once() {
    let server = Server::start(&[]);
    let checked = check(&server, 5, true);
    assert_eq!(checked["remaining"], json!(5));
    let receipt = checked["receipt"].as_str().unwrap();
    assert_eq!(settle(&server, receipt, 2), (200, json!({ "returned": 3, "excess": 0 })));
    assert_eq!(check(&server, 0, false)["remaining"], json!(8));
    let (status, problem) = settle(&server, receipt, 0);
    assert_eq!(status, 404, "{problem}");
    assert_eq!(check(&server, 0, false)["remaining"], json!(8), "not twice");
}

#[test]
fn more_than_was_charged_is_taken_without_a_test() {
    let server = Server::start(&[]);
    let checked = check(&server, 1, true);
    let settled = settle(&server, checked["receipt"].as_str().unwrap(), 14);
    assert_eq!(settled, (200, json!({ "returned": 0, "excess": 4 })));
    assert_eq!(check(&server, 0, false)["remaining"], json!(0));
}

/// Of many who hold the same receipt, one settles.
#[test]
fn a_receipt_is_settled_once_also_by_many_at_once() {
    let server = Server::start(&[]);
    let checked = check(&server, 10, true);
    let receipt = checked["receipt"].as_str().unwrap();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let settling: Vec<_> =
            (0..8).map(|_| scope.spawn(|| settle(&server, receipt, 9).0)).collect();
        settling.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(check(&server, 0, false)["remaining"], json!(1));
}

#[test]
fn receipts_are_given_only_to_who_asks_and_was_charged() {
    let server = Server::start(&[]);
    assert!(check(&server, 1, false).get("receipt").is_none());
    assert!(check(&server, 0, true).get("receipt").is_none_or(Value::is_string));
    assert!(check(&server, 11, true).get("receipt").is_none(), "denied");
    for body in
        ["{}", r#"{"receipt":"x"}"#, r#"{"receipt":"x","cost":-1}"#, r#"{"receipt":1,"cost":1}"#]
    {
        assert_eq!(server.post("/settle", body).status, 422, "{body}");
    }
    assert_eq!(settle(&server, &"0".repeat(32), 0).0, 404);
    assert_eq!(settle(&server, "no receipt at all", 0).0, 404);
}
