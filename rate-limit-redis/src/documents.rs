//! The second port, implemented: what operators keep, beside the buckets.
//!
//! A document is one key without a time to live: what operators say stays until they say something
//! else. Off the request path, so there is no breaker and no coalescing, and the script is sent whole.

use async_trait::async_trait;
use rate_limit_core::{
    Document, DocumentName, DocumentRepository, DocumentVersion, Expected, RepositoryError, Written,
};
use redis::Cmd;

use crate::administration::typed;
use crate::link::{LinkError, Slot};
use crate::repository::RedisRepository;

const CHANGE: &str = include_str!("scripts/document.lua");

#[async_trait]
impl DocumentRepository for RedisRepository {
    async fn read(&self, name: &DocumentName) -> Result<Option<Document>, RepositoryError> {
        let key = self.keys.document(name);
        let mut ask = Cmd::new();
        ask.arg("MGET").arg(&key);
        let reply = self.link.command(Slot::of_tag(&key), &ask).await?;
        let values: Vec<Option<Vec<u8>>> = typed(reply)?;
        let Some(kept) = values.into_iter().next().flatten() else {
            return Ok(None);
        };
        let digits = kept.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (version, rest) = kept.split_at(digits);
        let version = parsed_version(version)?;
        match rest.split_first() {
            Some((b'+', content)) => Ok(Some(Document { version, content: content.to_vec() })),
            Some((b'-', _)) => Ok(None),
            _ => Err(LinkError::Corrupt("no document").into()),
        }
    }

    async fn write(
        &self,
        name: &DocumentName,
        expected: Expected,
        content: &[u8],
    ) -> Result<Written, RepositoryError> {
        Ok(self.change(name, expected, "+", content).await?)
    }

    async fn delete(
        &self,
        name: &DocumentName,
        expected: Expected,
    ) -> Result<Written, RepositoryError> {
        Ok(self.change(name, expected, "-", b"").await?)
    }
}

impl RedisRepository {
    async fn change(
        &self,
        name: &DocumentName,
        expected: Expected,
        what: &str,
        content: &[u8],
    ) -> Result<Written, LinkError> {
        let key = self.keys.document(name);
        let expected = match expected {
            Expected::Anything => "*".to_owned(),
            Expected::Absent => "-".to_owned(),
            Expected::Version(version) => version.to_string(),
        };
        let mut change = Cmd::new();
        change.arg("EVAL").arg(CHANGE).arg(1).arg(&key).arg(expected).arg(what).arg(content);
        let reply: Vec<u8> = typed(self.link.command(Slot::of_tag(&key), &change).await?)?;
        match reply.split_first() {
            Some((b'+', version)) => Ok(Written::Done(parsed_version(version)?)),
            Some((b'-', version)) => {
                let version = parsed_version(version)?;
                Ok(Written::Conflict { present: (version.0 > 0).then_some(version) })
            }
            _ => Err(LinkError::Corrupt("no document")),
        }
    }
}

fn parsed_version(digits: &[u8]) -> Result<DocumentVersion, LinkError> {
    let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
    Ok(DocumentVersion(number.ok_or(LinkError::Corrupt("no version of a document"))?))
}
