//! A place for documents that would be correct but for one mistake.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use async_trait::async_trait;

use super::mistake::Mistake;
use crate::conformance::simple::lock;
use crate::document::{
    Document, DocumentName, DocumentRepository, DocumentState, Expected, Written,
};
use crate::repository::RepositoryError;

/// The place.
#[derive(Debug)]
pub(super) struct CarelessDocuments {
    mistake: Mistake,
    kept: Mutex<HashMap<String, DocumentState>>,
    /// Callers between comparing and writing.
    between: AtomicUsize,
}

impl CarelessDocuments {
    pub(super) fn new(mistake: Mistake) -> Self {
        Self { mistake, kept: Mutex::default(), between: AtomicUsize::new(0) }
    }

    fn key(&self, name: &DocumentName) -> String {
        match self.mistake {
            Mistake::MixesDocuments => String::new(),
            _ => name.to_string(),
        }
    }

    fn load(&self, key: &str) -> DocumentState {
        lock(&self.kept).get(key).cloned().unwrap_or_default()
    }

    fn change(&self, name: &DocumentName, expected: Expected, content: Option<&[u8]>) -> Written {
        let key = self.key(name);
        let expected = match self.mistake {
            Mistake::OverwritesDocuments => Expected::Anything,
            _ => expected,
        };
        if self.mistake == Mistake::ReadsThenWritesDocuments {
            let mut state = self.load(&key);
            self.wait_for_another();
            let written = state.change(expected, content);
            if matches!(written, Written::Done(_)) {
                lock(&self.kept).insert(key, state);
            }
            return written;
        }
        let mut kept = lock(&self.kept);
        let written = kept.entry(key.clone()).or_default().change(expected, content);
        let is_deleted = kept.get(&key).is_some_and(|state| state.content.is_none());
        if is_deleted && self.mistake == Mistake::CountsDocumentsAnew {
            kept.remove(&key);
        }
        written
    }

    /// Lets another caller come as far, unless none comes.
    fn wait_for_another(&self) {
        self.between.fetch_add(1, Ordering::SeqCst);
        for _ in 0..10_000 {
            if self.between.load(Ordering::SeqCst) > 1 {
                break;
            }
            thread::yield_now();
        }
        self.between.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl DocumentRepository for CarelessDocuments {
    async fn read(&self, name: &DocumentName) -> Result<Option<Document>, RepositoryError> {
        Ok(self.load(&self.key(name)).document())
    }

    async fn write(
        &self,
        name: &DocumentName,
        expected: Expected,
        content: &[u8],
    ) -> Result<Written, RepositoryError> {
        Ok(self.change(name, expected, Some(content)))
    }

    async fn delete(
        &self,
        name: &DocumentName,
        expected: Expected,
    ) -> Result<Written, RepositoryError> {
        Ok(self.change(name, expected, None))
    }
}
