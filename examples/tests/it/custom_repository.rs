//! A program with a store of its own.

use crate::process::Example;
use crate::support::Connection;

#[tokio::test]
async fn the_layer_works_on_any_store() {
    let example = Example::start("custom_repository");
    let mut connection = Connection::open(example.address).await;
    assert_eq!(&*connection.ask("/buckets").await.body, b"0 buckets\n");
    for left in (0..5).rev() {
        let answer = connection.ask("/").await;
        assert_eq!((answer.status.as_u16(), answer.number("x-ratelimit-remaining")), (200, left));
    }
    assert_eq!(connection.ask("/").await.violated(), ["default"]);
    assert_eq!(&*connection.ask("/buckets").await.body, b"1 buckets\n");
}
