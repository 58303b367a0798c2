//! What workers are asked, what they ask, and how they are kept.

use std::sync::mpsc::channel;
use std::thread::scope;
use std::time::Duration;

use trueup_render::workers::{Answers, DirectoryEntry, FileKind, Need, Reply, TreeFile, WorkerCounters, WorkerError};

use super::bench::{Bench, Nothing, SOON, Tests, Then, asking, job, pid, render, texts, wait, wait_ended};

pub(crate) const TESTS: Tests = &[
    ("a_worker_is_started_once_and_kept", a_worker_is_started_once_and_kept),
    ("it_is_asked_what_was_wanted_and_answered_what_it_asks", it_is_asked_what_was_wanted_and_answered_what_it_asks),
    ("a_render_with_a_question_that_failed_fails", a_render_with_a_question_that_failed_fails),
    ("it_may_need_something_or_fail", it_may_need_something_or_fail),
    ("it_sees_nothing_of_us", it_sees_nothing_of_us),
    ("what_it_writes_to_stderr_does_not_hold_it_up", what_it_writes_to_stderr_does_not_hold_it_up),
    ("large_things_go_both_ways", large_things_go_both_ways),
    ("it_is_replaced_after_some_renders", it_is_replaced_after_some_renders),
    ("without_work_it_ends", without_work_it_ends),
    (
        "a_worker_that_died_between_two_renders_is_no_reason_to_fail",
        a_worker_that_died_between_two_renders_is_no_reason_to_fail,
    ),
    ("what_it_says_unasked_is_nobody_elses_answer", what_it_says_unasked_is_nobody_elses_answer),
    ("what_it_is_is_known_without_a_render", what_it_is_is_known_without_a_render),
    (
        "they_are_taken_in_the_order_of_coming_and_waited_for_with_a_bound",
        they_are_taken_in_the_order_of_coming_and_waited_for_with_a_bound,
    ),
    ("several_work_at_once_but_no_more_than_may", several_work_at_once_but_no_more_than_may),
];

fn a_worker_is_started_once_and_kept() {
    let bench = Bench::new("good");
    let workers = bench.workers();
    assert_eq!(workers.counters(), WorkerCounters::default());
    assert_eq!(pid(&workers), pid(&workers));
    assert_eq!(workers.counters(), WorkerCounters { renders: 2, starts: 1, ..WorkerCounters::default() });
}

/// A tree with one chart.
struct OneChart;

impl Answers for OneChart {
    fn stat(&mut self, root: &str, path: &str) -> Result<FileKind, String> {
        assert_eq!(root, "$values");
        Ok(if path == "a" { FileKind::Directory } else { FileKind::Absent })
    }
    fn list(&mut self, _root: &str, _path: &str) -> Result<Vec<DirectoryEntry>, String> {
        Ok(vec![DirectoryEntry { name: "b".to_owned(), kind: FileKind::File }])
    }
    fn read(&mut self, _root: &str, path: &str) -> Result<Vec<u8>, String> {
        Ok(path.as_bytes().to_vec())
    }
    fn tree(&mut self, _root: &str, _path: &str) -> Result<Vec<TreeFile>, String> {
        Ok(vec![TreeFile { path: "Chart.yaml".to_owned(), data: vec![0, 255] }])
    }
    fn kube_version(&mut self) -> Result<String, String> {
        Ok("v1.36.3".to_owned())
    }
    fn has_api_version(&mut self, name: &str) -> Result<bool, String> {
        Ok(name == "apps/v1/Deployment")
    }
    fn api_versions(&mut self) -> Result<Vec<String>, String> {
        Ok(vec!["v1".to_owned()])
    }
}

fn it_is_asked_what_was_wanted_and_answered_what_it_asks() {
    let bench = Bench::new("good");
    let workers = bench.workers();
    let asks = [
        r#"{"stat":{"root":"$values","path":"a"}}"#,
        r#"{"stat":{"root":"$values","path":"c"}}"#,
        r#"{"list":{"root":"","path":""}}"#,
        r#"{"read":{"root":"","path":"a/b"}}"#,
        r#"{"tree":{"root":"need:0","path":"."}}"#,
        r#"{"kubeVersion":{}}"#,
        r#"{"hasApiVersion":{"name":"apps/v1/Deployment"}}"#,
        r#"{"apiVersions":{}}"#,
    ];
    let answers = texts(workers.render(&asking(&asks), &mut OneChart).unwrap());
    assert_eq!(
        answers,
        [
            r#"{"kind":"directory"}"#,
            r#"{"kind":"absent"}"#,
            r#"{"entries":[{"kind":"file","name":"b"}]}"#,
            r#"{"data":"YS9i"}"#,
            r#"{"files":[{"data":"AP8=","path":"Chart.yaml"}]}"#,
            r#"{"text":"v1.36.3"}"#,
            r#"{"yes":true}"#,
            r#"{"names":["v1"]}"#,
        ]
    );
    let Ok(Reply::Done(done)) = workers.render(&job("job"), &mut Nothing) else { panic!("it was not rendered") };
    assert!(done.documents[0].text.contains(r#""releaseName":"job""#), "{}", done.documents[0].text);
    assert_eq!((done.documents[0].file.as_str(), done.unstable), ("f", vec!["now in f".to_owned()]));
}

fn a_render_with_a_question_that_failed_fails() {
    let bench = Bench::new("good");
    let workers = bench.workers();
    for (ask, error) in [
        (r#"{"read":{"root":"$a","path":"b"}}"#, "'b' of '$a' is not there"),
        (r#"{"read":{"root":"","path":"../b"}}"#, "no path inside the source"),
    ] {
        let reply = workers.render(&asking(&[ask]), &mut Nothing);
        let Ok(Reply::Failed(message)) = reply else { panic!("it was rendered without what it asked for") };
        assert!(message.contains(error), "{message}");
    }
    // That is the user's mistake, not the worker's.
    assert_eq!(workers.counters(), WorkerCounters { renders: 2, starts: 1, ..WorkerCounters::default() });
}

fn it_may_need_something_or_fail() {
    let bench = Bench::new("good");
    let workers = bench.workers();
    let Ok(Reply::Needs(needs)) = workers.render(&job("needs"), &mut Nothing) else { panic!("it needs nothing") };
    let chart = Need::Chart { repository: "oci://r".to_owned(), name: "n".to_owned(), version: "^1".to_owned() };
    assert_eq!(needs, [chart, Need::Resource { url: "u".to_owned() }]);
    let Ok(Reply::Failed(message)) = workers.render(&job("failed"), &mut Nothing) else { panic!("it did not fail") };
    assert_eq!(message, "no such value");
    let Ok(Reply::Done(done)) = workers.render(&job("nulls"), &mut Nothing) else { panic!("it was not rendered") };
    assert_eq!((done.documents.len(), done.warnings, done.unstable.len()), (0, vec!["w".to_owned()], 0));
    let error = workers.render(&job("needs nothing"), &mut Nothing).err().unwrap();
    assert!(matches!(error, WorkerError::Nonsense { .. }), "{error}");
}

fn it_sees_nothing_of_us() {
    let mut bench = Bench::new("good");
    bench.config.memory_bytes = 123_456_789;
    let seen = render(&bench.workers(), "surroundings").unwrap();
    assert_eq!(seen, ["--memory-limit=123456789", "/"]);
}

fn what_it_writes_to_stderr_does_not_hold_it_up() {
    let bench = Bench::new("good");
    let workers = bench.workers();
    let before = pid(&workers);
    assert!(render(&workers, "complain").is_ok());
    assert_eq!(pid(&workers), before);
}

fn large_things_go_both_ways() {
    let bench = Bench::new("good");
    let workers = bench.workers();
    assert_eq!(render(&workers, "large").unwrap()[0].len(), 3 * 1024 * 1024);
    // More than any pipe holds, while the worker asks one thing after the other.
    let asks = [r#"{"read":{"root":"","path":"large"}}"#; 3];
    let mut large = Large(2 * 1024 * 1024);
    let answers = texts(workers.render(&asking(&asks), &mut large).unwrap());
    assert!(answers.iter().all(|answer| answer.len() > 2 * 1024 * 1024));
    large.0 = 73 * 1024 * 1024;
    let Ok(Reply::Failed(message)) = workers.render(&asking(&asks[..1]), &mut large) else {
        panic!("no frame holds it")
    };
    assert!(message.contains("'large' holds more than 72 MB"), "{message}");
    assert_eq!(workers.counters().starts, 1);
}

struct Large(usize);

impl Answers for Large {
    fn stat(&mut self, root: &str, path: &str) -> Result<FileKind, String> {
        Nothing.stat(root, path)
    }
    fn list(&mut self, root: &str, path: &str) -> Result<Vec<DirectoryEntry>, String> {
        Nothing.list(root, path)
    }
    fn read(&mut self, _root: &str, _path: &str) -> Result<Vec<u8>, String> {
        Ok(vec![7; self.0])
    }
    fn tree(&mut self, root: &str, path: &str) -> Result<Vec<TreeFile>, String> {
        Nothing.tree(root, path)
    }
    fn kube_version(&mut self) -> Result<String, String> {
        Nothing.kube_version()
    }
    fn has_api_version(&mut self, name: &str) -> Result<bool, String> {
        Nothing.has_api_version(name)
    }
    fn api_versions(&mut self) -> Result<Vec<String>, String> {
        Nothing.api_versions()
    }
}

fn it_is_replaced_after_some_renders() {
    let mut bench = Bench::new("good");
    bench.config.renders_max = 2;
    let workers = bench.workers();
    let pids = [pid(&workers), pid(&workers), pid(&workers), pid(&workers)];
    assert!(pids[0] == pids[1] && pids[1] != pids[2] && pids[2] == pids[3], "{pids:?}");
    assert_eq!(workers.counters(), WorkerCounters { renders: 4, starts: 2, ..WorkerCounters::default() });
    pids.into_iter().for_each(wait_ended);
}

fn without_work_it_ends() {
    let mut bench = Bench::new("good");
    bench.config.idle = Duration::from_millis(50);
    let workers = bench.workers();
    let first = pid(&workers);
    wait_ended(first);
    let second = pid(&workers);
    assert_ne!(first, second);
    bench.config.idle = Duration::from_hours(1);
    let patient = bench.workers();
    let third = pid(&patient);
    wait_ended(second);
    // Whoever has them ends, and so do they.
    drop(patient);
    wait_ended(third);
    assert_eq!(workers.counters(), WorkerCounters { renders: 2, starts: 2, ..WorkerCounters::default() });
}

fn a_worker_that_died_between_two_renders_is_no_reason_to_fail() {
    let bench = Bench::new("good");
    let workers = bench.workers();
    // Seen before it is asked, mostly.
    assert!(render(&workers, "end").is_ok());
    assert!(render(&workers, "done").is_ok());
    // Only seen when it is asked.
    assert!(render(&workers, "crash if warm").is_ok());
    let counters = workers.counters();
    assert_eq!((counters.renders, counters.starts, counters.crashes), (3, 3, 2));
    // One that never comes to a word fails, and is not tried without end.
    assert!(render(&workers, "crash").is_err());
    assert_eq!(workers.counters().starts, 4);
}

fn what_it_says_unasked_is_nobody_elses_answer() {
    let bench = Bench::new("good");
    let workers = bench.workers();
    for _ in 0..3 {
        assert!(render(&workers, "say more").unwrap().is_empty());
    }
    assert_eq!(render(&workers, "pid").unwrap().len(), 1);
    assert_eq!(workers.counters().starts, 4);
}

fn what_it_is_is_known_without_a_render() {
    let bench = Bench::new("good");
    let workers = bench.workers();
    let versions = workers.versions().unwrap();
    assert_eq!((versions.build.as_str(), versions.helm.as_str()), ("fake good", "4"));
    assert_eq!(workers.versions().unwrap(), versions);
    pid(&workers);
    assert_eq!(workers.counters(), WorkerCounters { renders: 1, starts: 1, ..WorkerCounters::default() });
}

fn they_are_taken_in_the_order_of_coming_and_waited_for_with_a_bound() {
    let mut bench = Bench::new("good");
    bench.config.count = 1;
    bench.config.deadline = SOON;
    let workers = bench.workers();
    let (workers, (free, freed), (tell, told)) = (&workers, channel::<()>(), channel());
    let (come, came) = channel();
    scope(|scope| {
        // What takes long here is us, so the worker is not ended.
        scope.spawn(move || {
            let mut hold = Then(move |_: &str| {
                come.send(()).unwrap();
                freed.recv().map(|()| true).map_err(|error| error.to_string())
            });
            texts(workers.render(&asking(&[r#"{"kubeVersion":{}}"#]), &mut hold).unwrap());
        });
        came.recv().unwrap();
        let error = render(workers, "done").unwrap_err();
        assert_eq!(error, WorkerError::Busy { after: SOON * 3, count: 1 });
        for turn in 0..4 {
            let tell = tell.clone();
            scope.spawn(move || {
                let mut tells = Then(move |_: &str| tell.send(turn).map(|()| true).map_err(|error| error.to_string()));
                texts(workers.render(&asking(&[r#"{"kubeVersion":{}}"#]), &mut tells).unwrap());
            });
            wait("the next to wait", || workers.counters().waiting == turn + 1);
        }
        free.send(()).unwrap();
    });
    drop(tell);
    assert_eq!(told.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(workers.counters(), WorkerCounters { renders: 5, starts: 1, ..WorkerCounters::default() });
}

fn several_work_at_once_but_no_more_than_may() {
    let mut bench = Bench::new("good");
    bench.config.count = 3;
    let workers = &bench.workers();
    scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| (0..10).for_each(|_| assert!(render(workers, "done").is_ok())));
        }
    });
    let counters = workers.counters();
    assert!(counters.starts <= 3, "{counters:?}");
    assert_eq!((counters.renders, counters.crashes, counters.kills, counters.waiting), (120, 0, 0, 0));
}
