//! The JSON schema of rules files.

use serde_json::json;

use crate::document::Document;
use crate::read::Read;

/// The schema, as a text that people can read too.
pub(crate) fn schema() -> String {
    let mut schema = Document::schema();
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".to_owned(), json!("Rules file of rate-limit-config"));
        object.insert("required".to_owned(), json!(["rule"]));
    }
    format!("{schema:#}\n")
}
