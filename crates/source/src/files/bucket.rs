//! One look at a landing folder that is in an object store. As of a folder on a disk, but that an object is complete
//! when it is there, and that every machine sees it.
//!
//! Called by `landing.rs`. Holds of a list what is new, up to a number: then it says how far it came, and is asked to go on.

use super::{
    landing::{CHANGED_WAIT, FileLanding, Seen, unsettled},
    refusal::Refusal,
    walk::{pattern, says_unfinished},
};
use alluvium_flow::{Arrival, Listed, Look, Received, Refused, StepError};
use alluvium_model::{DatasetName, LakeUrl};
use alluvium_spec::FileSource;
use std::time::Duration;

/// New objects of one look: these are read and recorded before more are looked for.
const MOST_NEW: usize = 1_000;
/// Refusals of each kind that are told.
const MOST_REFUSED: usize = 100;

impl FileLanding {
    /// What ends in `beside` is none of the dataset's objects, whatever its pattern.
    pub(super) async fn objects(
        &self,
        name: &DatasetName,
        folder: &LakeUrl,
        source: &FileSource,
        beside: Option<&str>,
        (known, after): (&Seen, Option<&str>),
    ) -> Result<Look, StepError> {
        let glob = pattern(&source.glob).map_err(StepError::new)?;
        let is_own = |path: &str| {
            let unfinished = path.split('/').any(|part| says_unfinished(part.as_bytes()));
            !unfinished && glob.is_match(path) && beside.is_none_or(|b| !path.ends_with(b))
        };
        let (mut found, mut look) = (Vec::new(), Look::default());
        let mut tell = |listed: Result<Listed, String>| match listed {
            Ok(object) => {
                let is_known = known.get(&object.path) == Some(&(object.bytes, object.modified_nanos));
                if !is_known && is_own(&object.path) {
                    if found.len() == MOST_NEW - 1 {
                        look.upto = Some(object.path.clone());
                    }
                    found.push(object);
                }
                look.upto.is_none()
            }
            Err(path) => {
                if glob.is_match(&path) && look.refused.len() < MOST_REFUSED {
                    look.refused.push(Refusal::NoName.at(path.as_ref()));
                }
                true
            }
        };
        self.buckets.list(folder, after, &mut tell).await?;
        let state = |o: &Listed| (o.path.clone(), (o.bytes, o.modified_nanos));
        let ready = self.ready(name, (source.settle, after.is_some()), found, state, known, &mut look);
        let ready = self.remembered(name, ready, &mut look);
        let mut left = ready.len();
        let wait = Duration::from(source.settle).max(CHANGED_WAIT);
        let mut first = None;
        for (object, received) in self.buckets.receive(folder, ready).await {
            left -= 1;
            match received {
                Ok(Received::Content(content)) => look.arrivals.push(arrival(object, content)),
                Ok(Received::Changed) => unsettled(&mut look, wait),
                Ok(Received::Gone) => tracing::debug!(dataset = %name, path = object.path, "gone before it was read"),
                Err(e) if !e.class().may_pass() => refuse(&mut look, object.path, &e),
                Err(e) => {
                    unsettled(&mut look, wait);
                    first.get_or_insert((object.path, e));
                }
            }
        }
        if let Some((path, e)) = first {
            if look.arrivals.is_empty() {
                return Err(e);
            }
            // What has come is recorded, so that no outage makes all of it come again; the next look tells if it lasts.
            let error = &e as &dyn std::error::Error;
            tracing::warn!(dataset = %name, path, error, "not all objects could be read");
        }
        (0..left).for_each(|_| unsettled(&mut look, wait));
        look.arrivals.sort_by(|a, b| a.path.cmp(&b.path));
        let all = look.arrivals.iter().map(|a| (a.path.clone(), a.clone())).collect();
        self.received.lock().expect("no holder of this lock panics").insert(name.clone(), all);
        let (new, unsettled, refused) = (look.arrivals.len(), look.unsettled, look.refused.len());
        tracing::debug!(dataset = %name, new, unsettled, refused, "looked at the bucket");
        Ok(look)
    }

    /// Those that the last look did not read; the others have arrived.
    fn remembered(&self, name: &DatasetName, ready: Vec<Listed>, look: &mut Look) -> Vec<Listed> {
        let mut before = self.received.lock().expect("no holder of this lock panics").remove(name).unwrap_or_default();
        let mut others = Vec::new();
        for object in ready {
            match before.remove(&object.path) {
                Some(a) if (a.bytes, a.modified_nanos) == (object.bytes, object.modified_nanos) => {
                    look.arrivals.push(a);
                }
                Some(_) | None => others.push(object),
            }
        }
        others
    }

    /// The object at a path, if there is one.
    pub(super) async fn in_bucket(&self, folder: &LakeUrl, path: &str) -> Result<Option<Arrival>, StepError> {
        let Some(object) = self.buckets.find(folder, path).await? else { return Ok(None) };
        match self.buckets.receive(folder, vec![object]).await.pop() {
            Some((object, Ok(Received::Content(content)))) => Ok(Some(arrival(object, content))),
            Some((_, Err(e))) => Err(e),
            Some((_, Ok(Received::Changed | Received::Gone))) | None => Ok(None),
        }
    }
}

/// One that the store keeps to itself, as an object in an archive, holds up no other.
fn refuse(look: &mut Look, path: String, error: &StepError) {
    if look.refused.len() < 2 * MOST_REFUSED {
        let causes = std::iter::successors(std::error::Error::source(error), |e| e.source());
        let why: String = causes.map(|cause| format!(": {cause}")).collect();
        look.refused.push(Refused { path, code: error.code(), reason: format!("{error}{why}; {}", error.remedy()) });
    }
}

fn arrival(object: Listed, content: alluvium_model::ContentHash) -> Arrival {
    let Listed { path, bytes, modified_nanos } = object;
    Arrival { path, bytes, modified_nanos, content }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::FileLanding;
    use alluvium_flow::{Buckets, Copies};
    use alluvium_model::{ContentHash, Fault, ManualClock, RetryClass, Span};
    use alluvium_spec::CsvOptions;
    use async_trait::async_trait;
    use std::{
        path::Path,
        sync::{Arc, Mutex},
    };

    /// A bucket whose objects are their own content, and fail from a number of reads on.
    #[derive(Default)]
    struct Stub {
        listed: Vec<Result<Listed, String>>,
        reads_left: Mutex<Option<usize>>,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("no answer")]
    struct Trouble(&'static str, RetryClass);

    impl Fault for Trouble {
        fn code(&self) -> &'static str {
            self.0
        }

        fn class(&self) -> RetryClass {
            self.1
        }

        fn remedy(&self) -> &'static str {
            "wait"
        }
    }

    #[async_trait]
    impl Buckets for Stub {
        async fn list(
            &self,
            _: &LakeUrl,
            after: Option<&str>,
            tell: &mut (dyn FnMut(Result<Listed, String>) -> bool + Send),
        ) -> Result<(), StepError> {
            let path = |listed: &Result<Listed, String>| listed.as_ref().map_or_else(Clone::clone, |o| o.path.clone());
            let rest = self.listed.iter().filter(|listed| after.is_none_or(|after| path(listed).as_str() > after));
            let _ = rest.cloned().all(tell);
            Ok(())
        }

        async fn find(&self, _: &LakeUrl, path: &str) -> Result<Option<Listed>, StepError> {
            Ok(self.listed.iter().flatten().find(|o| o.path == path).cloned())
        }

        async fn receive(&self, _: &LakeUrl, objects: Vec<Listed>) -> Vec<(Listed, Result<Received, StepError>)> {
            let mut left = self.reads_left.lock().expect("a number");
            let mut received = Vec::new();
            for object in objects {
                match left.as_mut() {
                    Some(0) => {
                        received.push((object, Err(StepError::new(Trouble("L0503", RetryClass::Transient)))));
                        break;
                    }
                    Some(left) => *left -= 1,
                    None => {}
                }
                let content = ContentHash::from_stored(&object.path);
                let what = match object.path.as_str() {
                    "odd.csv" => Err(StepError::new(Trouble("L0509", RetryClass::Transient))),
                    "archived.csv" => Err(StepError::new(Trouble("L0501", RetryClass::Auth))),
                    "changed.csv" => Ok(Received::Changed),
                    "gone.csv" => Ok(Received::Gone),
                    _ => Ok(Received::Content(content)),
                };
                received.push((object, what));
            }
            received
        }
    }

    #[async_trait]
    impl Copies for Stub {
        async fn bring(&self, _: &Path) -> Result<(), StepError> {
            unreachable!("nothing is laid down")
        }

        async fn fetch(&self, _: &Path) -> Result<(), StepError> {
            unreachable!("nothing was pushed")
        }
    }

    const SECOND: i64 = 1_000_000_000;

    fn object(path: &str, seconds: i64) -> Result<Listed, String> {
        Ok(Listed { path: path.to_owned(), bytes: 1, modified_nanos: seconds * SECOND + 7 })
    }

    fn landing(stub: Stub) -> FileLanding {
        let clock = Arc::new(ManualClock::at("1970-01-01T00:01:40Z".parse().expect("a time")));
        FileLanding::new(clock, Arc::new(Stub::default()), Arc::new(stub))
    }

    async fn look(landing: &FileLanding, glob: &str, known: &Seen) -> Result<Look, StepError> {
        look_after(landing, glob, known, None).await
    }

    async fn look_after(
        landing: &FileLanding,
        glob: &str,
        known: &Seen,
        after: Option<&str>,
    ) -> Result<Look, StepError> {
        let name: DatasetName = "bronze.drops".parse().expect("a name");
        let url: LakeUrl = "s3://bucket/in".parse().expect("a url");
        let csv = CsvOptions { delimiter: None, quote: b'"', columns: None };
        let source = FileSource {
            folder: url.to_string().into(),
            remote: Some(url.clone()),
            glob: glob.to_owned(),
            settle: Span::from_secs(2),
            format: None,
            csv,
        };
        landing.objects(&name, &url, &source, Some(".ctl"), (known, after)).await
    }

    fn paths(look: &Look) -> Vec<&str> {
        look.arrivals.iter().map(|a| a.path.as_str()).collect()
    }

    #[tokio::test]
    async fn new_objects_are_told_as_files_are() {
        let listed = ["a.csv", "a.csv.ctl", "_b.csv", "c.csv.tmp", "changed.csv", "gone.csv", "in/d.csv", "known.csv"];
        let mut listed: Vec<_> = listed.into_iter().map(|path| object(path, 50)).collect();
        listed.push(object("young.csv", 99));
        listed.extend(["..csv\n", "in//e.csv", "../f.csv"].map(|path| Err(path.to_owned())));
        let landing = landing(Stub { listed, ..Stub::default() });
        let known =
            Seen::from([("known.csv".to_owned(), (1, 50 * SECOND + 7)), ("a.csv".to_owned(), (1, 50 * SECOND + 8))]);
        let found = look(&landing, "*", &known).await.expect("a look");
        assert_eq!(paths(&found), ["a.csv"], "its tag is another one, and folders are left out");
        assert_eq!(found.unsettled, 2, "one is young, and one changed");
        let refused: Vec<_> = found.refused.iter().map(|r| (r.path.as_str(), r.code)).collect();
        assert_eq!(refused, [("..csv\n", "G0010")], "what the pattern takes and no request can name");
        let found = look(&landing, "**/[def].csv", &known).await.expect("a look");
        assert_eq!((paths(&found), found.refused.len()), (vec!["in/d.csv"], 2));
    }

    #[tokio::test]
    async fn an_outage_in_the_midst_loses_nothing_that_came_before_it() {
        let listed = (0..5).map(|i| object(&format!("{i}.csv"), 50)).collect();
        let landing = landing(Stub { listed, reads_left: Mutex::new(Some(2)) });
        let found = look(&landing, "*", &Seen::new()).await.expect("a look");
        assert_eq!((paths(&found), found.unsettled), (vec!["0.csv", "1.csv"], 3));
        let again = look(&landing, "*", &Seen::new()).await.expect("a look");
        assert_eq!(paths(&again), paths(&found), "what was read is not read again until it is recorded");
        let known = found.arrivals.iter().map(|a| (a.path.clone(), (a.bytes, a.modified_nanos))).collect();
        let error = look(&landing, "*", &known).await.expect_err("nothing came");
        assert_eq!(error.code(), "L0503");
    }

    #[tokio::test]
    async fn an_object_that_is_kept_back_holds_up_no_other() {
        let listed = ["a.csv", "archived.csv", "b.csv"].map(|path| object(path, 50)).to_vec();
        let found = look(&landing(Stub { listed, ..Stub::default() }), "*", &Seen::new()).await.expect("a look");
        assert_eq!((paths(&found), found.unsettled), (vec!["a.csv", "b.csv"], 0));
        let refused: Vec<_> = found.refused.iter().map(|r| (&*r.path, r.code, &*r.reason)).collect();
        assert_eq!(refused, [("archived.csv", "L0501", "no answer; wait")]);
    }

    #[tokio::test]
    async fn an_object_with_an_odd_answer_holds_up_no_other() {
        let listed = ["a.csv", "odd.csv", "z.csv"].map(|path| object(path, 50)).to_vec();
        let landing = landing(Stub { listed, ..Stub::default() });
        let found = look(&landing, "*", &Seen::new()).await.expect("a look");
        assert_eq!((paths(&found), found.unsettled), (vec!["a.csv", "z.csv"], 1));
        let known = found.arrivals.iter().map(|a| (a.path.clone(), (a.bytes, a.modified_nanos))).collect();
        let error = look(&landing, "*", &known).await.expect_err("it alone is new");
        assert_eq!(error.code(), "L0509");
    }

    #[tokio::test]
    async fn a_large_bucket_is_looked_through_part_by_part() {
        let names: Vec<String> = (0..2 * MOST_NEW + 5).map(|i| format!("{i:05}.csv")).collect();
        let mut listed: Vec<_> = names.iter().map(|name| object(name, 50)).collect();
        // Its time lies in the future: it has to be found unchanged by two looks, however many parts these have.
        listed[7] = object(&names[7], 1_000);
        let landing = landing(Stub { listed, ..Stub::default() });
        for expected in [2 * MOST_NEW + 4, 2 * MOST_NEW + 5] {
            let (mut found, mut after, mut parts, mut unsettled) = (Vec::new(), None::<String>, 0, 0);
            loop {
                let part = look_after(&landing, "*", &Seen::new(), after.as_deref()).await.expect("a look");
                assert!(part.arrivals.len() <= MOST_NEW);
                unsettled += part.unsettled;
                found.extend(part.arrivals.into_iter().map(|a| a.path));
                parts += 1;
                after = part.upto;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!((found.len(), parts), (expected, 3));
            assert_eq!(found.len() + usize::try_from(unsettled).expect("few"), names.len());
            assert!(found.is_sorted() && found.iter().all(|path| names.contains(path)));
        }
    }

    #[tokio::test]
    async fn an_object_is_read_once_for_two_looks_and_again_when_it_is_another() {
        let mut landing = landing(Stub { listed: vec![object("a.csv", 50)], reads_left: Mutex::new(Some(1)) });
        let found = look(&landing, "*", &Seen::new()).await.expect("a look");
        assert_eq!(found, look(&landing, "*", &Seen::new()).await.expect("a look"));
        landing.buckets = Arc::new(Stub { listed: vec![object("a.csv", 51)], reads_left: Mutex::new(Some(0)) });
        let error = look(&landing, "*", &Seen::new()).await.expect_err("it has to be read");
        assert_eq!(error.code(), "L0503");
    }
}
