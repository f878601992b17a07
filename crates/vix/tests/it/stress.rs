//! Many threads start, wait for, poll, release and are called back by thousands of jobs at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vix::constants::*;
use vix::{Callback, Handle, HostSpec, Library, Text, Value};

const THREADS: u64 = 8;
const JOBS: usize = 3000;

pub(crate) fn library() -> Arc<Library> {
    Arc::new(Library::new(|| {
        Ok(replix::Host::local_with(replix::vm::Settings::default()))
    }))
}

pub(crate) fn here() -> HostSpec {
    HostSpec {
        api_version: VIX_API_VERSION,
        provider: VIX_SERVICEPROVIDER_VMWARE_WORKSTATION,
        name: Text::Null,
        account: (Text::Null, Text::Null),
        options: 0,
        list: VIX_INVALID_HANDLE,
    }
}

/// Counts the events of each job, and those that came after its completion.
#[derive(Default)]
struct Heard {
    completions: Mutex<HashMap<Handle, u32>>,
}

impl Heard {
    /// Returns a callback that counts, and now and then uses the library as well.
    fn listen(self: &Arc<Self>, library: &Arc<Library>, what: u32) -> Callback {
        let (heard, library) = (Arc::clone(self), Arc::clone(library));
        Box::new(move |job, event, _| {
            if event != VIX_EVENTTYPE_JOB_COMPLETED {
                let completions = heard.completions.lock().unwrap();
                assert!(
                    !completions.contains_key(&job),
                    "an event after the last one"
                );
                return;
            }
            *heard.completions.lock().unwrap().entry(job).or_default() += 1;
            match what {
                0 => assert!(library.wait(job, &[]).is_ok()),
                1 => {
                    let other = library.connect(here(), None);
                    assert!(library.wait(other, &[]).is_ok());
                    library.release(other);
                }
                2 => assert_eq!(library.error_of(job).unwrap(), VIX_OK),
                _ => {}
            }
        })
    }
}

/// Ends a job as one of the kinds of clients does.
fn finish(library: &Library, job: Handle, how: u32) {
    match how {
        0 => {
            let values = library
                .wait(job, &[VIX_PROPERTY_JOB_RESULT_HANDLE])
                .unwrap();
            let Value::Handle(Some(host)) = &values[0] else {
                panic!("no handle: {values:?}");
            };
            let host = host.give();
            assert_eq!(library.handle_type(host), VIX_HANDLETYPE_HOST);
            library.release(job);
            library.disconnect(host);
        }
        1 => {
            while !library.is_done(job).unwrap() {
                thread::yield_now();
            }
            assert_eq!(library.error_of(job).unwrap(), VIX_OK);
            library.release(job);
        }
        2 => {
            library.wait(job, &[]).unwrap();
            library.release(job);
        }
        // It forgets the job while that may still run.
        _ => library.release(job),
    }
}

#[test]
fn handles_at_rest_return_to_the_start() {
    let library = library();
    let heard = Arc::new(Heard::default());
    let clients: Vec<_> = (0..THREADS)
        .map(|seed| {
            let (library, heard) = (Arc::clone(&library), Arc::clone(&heard));
            thread::spawn(move || {
                let mut random = SmallRng::seed_from_u64(seed);
                let mut called = Vec::new();
                for _ in 0..JOBS {
                    let what = random.random_range(0..6);
                    let callback = (what < 4).then(|| heard.listen(&library, what));
                    let is_called = callback.is_some();
                    let job = library.connect(here(), callback);
                    called.extend(is_called.then_some(job));
                    finish(&library, job, random.random_range(0..4));
                }
                called
            })
        })
        .collect();
    let called: Vec<_> = clients
        .into_iter()
        .flat_map(|client| client.join().unwrap())
        .collect();
    // Jobs that nobody waited for end by themselves.
    while library.live_handles() > 0 {
        thread::yield_now();
    }
    let completions = heard.completions.lock().unwrap();
    assert_eq!(completions.len(), called.len());
    assert!(called.iter().all(|job| completions[job] == 1));
}
