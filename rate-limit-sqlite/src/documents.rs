//! The second port, implemented: what operators keep, in a table of its own.
//!
//! A change shares its transaction with the decisions that wait at the same time, and is answered
//! when that is written.

use async_trait::async_trait;
use rate_limit_core::{
    Document, DocumentName, DocumentRepository, DocumentState, DocumentVersion, Expected,
    RepositoryError, Written,
};
use rusqlite::{OptionalExtension, params};

use crate::buckets::Session;
use crate::repository::SqliteRepository;

#[async_trait]
impl DocumentRepository for SqliteRepository {
    async fn read(&self, name: &DocumentName) -> Result<Option<Document>, RepositoryError> {
        let name = name.clone();
        let read = move |session: &mut Session| Ok(Ok(session.kept(&name)?.document()));
        self.worker().ask(read).await
    }

    async fn write(
        &self,
        name: &DocumentName,
        expected: Expected,
        content: &[u8],
    ) -> Result<Written, RepositoryError> {
        self.change(name, expected, Some(content.to_vec())).await
    }

    async fn delete(
        &self,
        name: &DocumentName,
        expected: Expected,
    ) -> Result<Written, RepositoryError> {
        self.change(name, expected, None).await
    }
}

impl SqliteRepository {
    async fn change(
        &self,
        name: &DocumentName,
        expected: Expected,
        content: Option<Vec<u8>>,
    ) -> Result<Written, RepositoryError> {
        let name = name.clone();
        let change = move |session: &mut Session| {
            session.change(&name, expected, content.as_deref()).map(Ok)
        };
        self.worker().ask(change).await
    }
}

impl Session {
    /// What is kept of a document; nothing yet if there was none.
    fn kept(&self, name: &DocumentName) -> rusqlite::Result<DocumentState> {
        let mut select = self
            .connection
            .prepare_cached("SELECT version, content FROM document WHERE name = ?1")?;
        let kept = select.query_row([name.as_str()], |row| {
            let version: i64 = row.get(0)?;
            let version = DocumentVersion(version.try_into().unwrap_or(0));
            Ok(DocumentState { version, content: row.get(1)? })
        });
        Ok(kept.optional()?.unwrap_or_default())
    }

    fn change(
        &mut self,
        name: &DocumentName,
        expected: Expected,
        content: Option<&[u8]>,
    ) -> rusqlite::Result<Written> {
        let mut state = self.kept(name)?;
        let before = state.version;
        let written = state.change(expected, content);
        if state.version != before {
            let mut replace = self.connection.prepare_cached(
                "INSERT OR REPLACE INTO document (name, version, content) VALUES (?1, ?2, ?3)",
            )?;
            let version = i64::try_from(state.version.0).unwrap_or(i64::MAX);
            replace.execute(params![name.as_str(), version, state.content])?;
            self.book.written += 1;
        }
        Ok(written)
    }
}
