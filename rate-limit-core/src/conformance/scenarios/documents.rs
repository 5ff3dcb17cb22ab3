//! What operators keep in a store. Stores that keep no documents pass.

use std::sync::{Arc, Barrier};
use std::thread;

use super::Scenario;
use crate::conformance::executor::block_on;
use crate::conformance::trial::{Checked, Mismatch, ensure, equal};
use crate::document::{
    Document, DocumentName, DocumentRepository, DocumentVersion, Expected, Written,
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "documents.are_read_as_they_were_written",
        promise: "a document holds any bytes, and each name has a document of its own",
        body: |trial| {
            let Some(store) = trial.documents() else {
                return Ok(());
            };
            let all_bytes: Vec<u8> = (0..=u8::MAX).cycle().take(70_000).collect();
            let contents: [&[u8]; 6] =
                [b"", b"\0", b"7", b"+1 -2", "größer\r\n".as_bytes(), &all_bytes];
            for (number, content) in contents.into_iter().enumerate() {
                let name = name(&format!("document-{number}"))?;
                equal("before", block_on(store.read(&name))?, None)?;
                let version = done(block_on(store.write(&name, Expected::Absent, content))?)?;
                equal("first version", version, DocumentVersion(1))?;
                let read = block_on(store.read(&name))?;
                let written = Document { version, content: content.to_vec() };
                ensure!(read == Some(written), "a content of {} bytes changed", content.len());
            }
            let first = block_on(store.read(&name("document-0")?))?;
            equal("the first one", first.map(|it| it.content), Some(Vec::new()))
        },
    },
    Scenario {
        name: "documents.change_only_as_expected",
        promise: "a change that expects another version changes nothing and says what there is",
        body: |trial| {
            let Some(store) = trial.documents() else {
                return Ok(());
            };
            let name = name("rules")?;
            let (first, second) = (DocumentVersion(1), DocumentVersion(2));
            let conflict = |present| Written::Conflict { present };
            let write = |expected, content: &[u8]| block_on(store.write(&name, expected, content));
            let delete = |expected| block_on(store.delete(&name, expected));

            let absent = conflict(None);
            equal("a version of nothing", write(Expected::Version(first), b"a")?, absent)?;
            equal("deleting that", delete(Expected::Version(first))?, absent)?;
            equal("the first one", write(Expected::Absent, b"a")?, Written::Done(first))?;
            let present = conflict(Some(first));
            equal("not absent", write(Expected::Absent, b"b")?, present)?;
            equal("deleting what is absent", delete(Expected::Absent)?, present)?;
            let later = Expected::Version(second);
            equal("a later version", write(later, b"b")?, present)?;
            equal("untouched", content(&*store, &name)?, Some(b"a".to_vec()))?;
            equal("as read", write(Expected::Version(first), b"b")?, Written::Done(second))?;
            let stale = Expected::Version(first);
            equal("stale", write(stale, b"c")?, conflict(Some(second)))?;
            equal("deleting stale", delete(stale)?, conflict(Some(second)))?;
            equal("still there", content(&*store, &name)?, Some(b"b".to_vec()))?;
            let third = Written::Done(DocumentVersion(3));
            equal("whatever there is", write(Expected::Anything, b"c")?, third)?;
            equal("the last one", content(&*store, &name)?, Some(b"c".to_vec()))
        },
    },
    Scenario {
        name: "documents.versions_are_not_used_twice",
        promise: "a version that was seen before a deletion never names what was written after it",
        body: |trial| {
            let Some(store) = trial.documents() else {
                return Ok(());
            };
            let name = name("rules")?;
            let mut seen = Vec::new();
            for round in 0..12 {
                let content = format!("round {round}");
                let written = block_on(store.write(&name, Expected::Absent, content.as_bytes()))?;
                let version = done(written)?;
                ensure!(!seen.contains(&version), "{version:?} again in round {round}");
                seen.push(version);
                let expected = Expected::Version(version);
                done(block_on(store.delete(&name, expected))?)?;
                equal("deleted", block_on(store.read(&name))?, None)?;
                let again = block_on(store.delete(&name, expected))?;
                equal("deleted already", again, Written::Conflict { present: None })?;
                done(block_on(store.delete(&name, Expected::Anything))?)?;
                let stale = block_on(store.write(&name, expected, b"stale"))?;
                equal("a stale version", stale, Written::Conflict { present: None })?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "documents.one_of_many_writers_succeeds",
        promise: "of all who expect the same version, exactly one changes the document",
        body: |trial| {
            const WRITERS: usize = 8;
            let Some(store) = trial.documents() else {
                return Ok(());
            };
            let store: Arc<dyn DocumentRepository> = store.into();
            let name = name("rules")?;
            let mut version = done(block_on(store.write(&name, Expected::Absent, b"0"))?)?;
            for round in 0..25 {
                let start = Barrier::new(WRITERS);
                let write = |content: &str| {
                    start.wait();
                    let expected = Expected::Version(version);
                    block_on(store.write(&name, expected, content.as_bytes()))
                };
                let winners: Vec<(usize, DocumentVersion)> = thread::scope(|scope| {
                    let writers: Vec<_> = (0..WRITERS)
                        .map(|writer| scope.spawn(move || (writer, write(&writer.to_string()))))
                        .collect();
                    let answers = writers.into_iter().filter_map(|writer| writer.join().ok());
                    answers
                        .filter_map(|(writer, answer)| match answer {
                            Ok(Written::Done(version)) => Some((writer, version)),
                            _ => None,
                        })
                        .collect()
                });
                let [(winner, next)] = winners[..] else {
                    return Err(Mismatch(format!(
                        "round {round}: {} of {WRITERS} writers succeeded",
                        winners.len()
                    )));
                };
                let kept = Document { version: next, content: winner.to_string().into_bytes() };
                let read = block_on(store.read(&name))?;
                ensure!(read == Some(kept), "round {round}: not what the winner wrote");
                version = next;
            }
            Ok(())
        },
    },
];

fn name(text: &str) -> Checked<DocumentName> {
    Ok(DocumentName::new(text)?)
}

fn content(store: &dyn DocumentRepository, name: &DocumentName) -> Checked<Option<Vec<u8>>> {
    Ok(block_on(store.read(name))?.map(|document| document.content))
}

fn done(written: Written) -> Checked<DocumentVersion> {
    match written {
        Written::Done(version) => Ok(version),
        Written::Conflict { .. } => Err(Mismatch(format!("{written:?} instead of a change"))),
    }
}
