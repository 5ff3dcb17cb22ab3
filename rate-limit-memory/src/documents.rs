//! The second port, implemented: what operators keep, for as long as this process lives.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rate_limit_core::{
    Clock, Document, DocumentName, DocumentRepository, DocumentState, Expected, RepositoryError,
    Written,
};

use crate::repository::MemoryRepository;

/// All documents, which are few: their names come from programs, not from clients.
#[derive(Debug, Default)]
pub(crate) struct Documents(Mutex<HashMap<DocumentName, DocumentState>>);

impl Documents {
    /// A panic elsewhere leaves whole documents behind, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, HashMap<DocumentName, DocumentState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, name: &DocumentName, expected: Expected, content: Option<&[u8]>) -> Written {
        self.lock().entry(name.clone()).or_default().change(expected, content)
    }
}

#[async_trait]
impl<C: Clock> DocumentRepository for MemoryRepository<C> {
    async fn read(&self, name: &DocumentName) -> Result<Option<Document>, RepositoryError> {
        Ok(self.documents.lock().get(name).and_then(DocumentState::document))
    }

    async fn write(
        &self,
        name: &DocumentName,
        expected: Expected,
        content: &[u8],
    ) -> Result<Written, RepositoryError> {
        Ok(self.documents.change(name, expected, Some(content)))
    }

    async fn delete(
        &self,
        name: &DocumentName,
        expected: Expected,
    ) -> Result<Written, RepositoryError> {
        Ok(self.documents.change(name, expected, None))
    }
}
