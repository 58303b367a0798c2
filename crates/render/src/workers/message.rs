//! What is said on the line, as JSON.
//!
//! Fields that are not known are ignored. No error here holds what was said: it may hold the content of files.

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{DirectoryEntry, Done, FileKind, Job, Need, Versions};

/// The protocol that is spoken here.
pub(crate) const PROTOCOL: u64 = 1;

/// What a worker says: one of these, and fields that are not known.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Heard {
    /// The first thing that it says.
    pub(crate) hello: Option<Hello>,
    /// The answer to a ping.
    pub(crate) pong: Option<Pong>,
    /// A question.
    pub(crate) ask: Option<Ask>,
    /// The end of a render.
    pub(crate) done: Option<Done>,
    /// The end of a render that lacks something.
    pub(crate) needs: Option<Vec<Need>>,
    /// The end of a render of something wrong.
    pub(crate) failed: Option<Failed>,
}

/// How a worker begins.
#[derive(Deserialize)]
pub(crate) struct Hello {
    /// The protocol that it speaks.
    pub(crate) protocol: u64,
    #[serde(flatten)]
    pub(crate) versions: Versions,
}

/// That a worker lives.
#[derive(Deserialize)]
pub(crate) struct Pong {}

/// What is wrong with what was to be rendered.
#[derive(Deserialize)]
pub(crate) struct Failed {
    /// For the user.
    pub(crate) message: String,
}

/// What a worker asks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Ask {
    Stat(Place),
    List(Place),
    Read(Place),
    Tree(Place),
    KubeVersion {},
    HasApiVersion { name: String },
    ApiVersions {},
}

/// A path in one of the trees.
#[derive(Deserialize)]
pub(crate) struct Place {
    #[serde(default)]
    pub(crate) root: String,
    #[serde(default)]
    pub(crate) path: String,
}

/// What we say.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Said<'a> {
    Ping {},
    Render(&'a Job),
    Answer(Answer),
}

/// What we answer.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    Kind(FileKind),
    Entries(Vec<DirectoryEntry>),
    Data(Data),
    Files(Vec<AnsweredFile>),
    Text(String),
    Yes(bool),
    Names(Vec<String>),
    Error(String),
}

/// A file below the directory that was asked for.
#[derive(Serialize)]
pub(crate) struct AnsweredFile {
    pub(crate) path: String,
    pub(crate) data: Data,
}

/// The content of a file.
pub(crate) struct Data(pub(crate) Vec<u8>);

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(&self.0, &STANDARD))
    }
}

/// For lists: Go writes an empty one as `null`.
pub(crate) fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// What a worker said; if it is no message, in which way not.
pub(crate) fn heard(frame: &[u8]) -> Result<Heard, String> {
    serde_json::from_slice(frame).map_err(|error| {
        // serde's own words quote what they stumble over.
        let what = match error.classify() {
            serde_json::error::Category::Data => "is no message of the protocol",
            _ => "is not JSON",
        };
        format!("what {what} (at byte {} of {})", error.column(), frame.len())
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::frame::frame;
    use super::super::{Chart, HelmJob};
    use super::*;

    fn said(said: &Said<'_>) -> String {
        String::from_utf8(frame(said).unwrap().split_off(4)).unwrap()
    }

    #[test]
    fn answers_are_said_as_the_other_side_reads_them() {
        let files = vec![AnsweredFile { path: "Chart.yaml".to_owned(), data: Data(b"a: b\n".to_vec()) }];
        let entries = vec![DirectoryEntry { name: "b".to_owned(), kind: FileKind::Directory }];
        for (answer, text) in [
            (Answer::Kind(FileKind::Absent), r#"{"kind":"absent"}"#),
            (Answer::Entries(entries), r#"{"entries":[{"name":"b","kind":"directory"}]}"#),
            (Answer::Data(Data(vec![0xff, 0xfe])), r#"{"data":"//4="}"#),
            (Answer::Files(files), r#"{"files":[{"path":"Chart.yaml","data":"YTogYgo="}]}"#),
            (Answer::Text("v1.36.3".to_owned()), r#"{"text":"v1.36.3"}"#),
            (Answer::Yes(true), r#"{"yes":true}"#),
            (Answer::Names(vec!["v1".to_owned()]), r#"{"names":["v1"]}"#),
            (Answer::Error("no".to_owned()), r#"{"error":"no"}"#),
        ] {
            assert_eq!(said(&Said::Answer(answer)), format!(r#"{{"answer":{text}}}"#));
        }
    }

    #[test]
    fn a_job_is_said_as_the_other_side_reads_it() {
        let chart = Chart { root: String::new(), path: "charts/app".to_owned() };
        let job = Job::Helm(HelmJob { chart, release_name: "r".to_owned(), include_crds: true, ..HelmJob::default() });
        let text = r#"{"render":{"helm":{"chart":{"root":"","path":"charts/app"},"releaseName":"r","namespace":"","values":[],"set":[],"setFile":[],"includeCrds":true,"skipTests":false,"skipSchemaValidation":false,"kubeVersion":"","apiVersions":[],"fetched":[]}}}"#;
        assert_eq!(said(&Said::Render(&job)), text);
    }

    #[test]
    fn what_a_worker_says_is_understood_with_what_it_adds() {
        let text = r#"{"hello":{"protocol":1,"build":"b","helm":"4.3.1","later":[1]},"more":{}}"#;
        let hello = heard(text.as_bytes()).ok().and_then(|heard| heard.hello).unwrap();
        assert_eq!((hello.protocol, hello.versions.build.as_str(), hello.versions.jsonnet.as_str()), (1, "b", ""));
        let text = r#"{"done":{"documents":[{"file":"a","text":"b"}],"warnings":null,"unstable":null}}"#;
        let done = heard(text.as_bytes()).ok().and_then(|heard| heard.done).unwrap();
        assert_eq!((done.documents.len(), done.warnings.len()), (1, 0));
        for ask in
            [r#"{"kubeVersion":{}}"#, r#"{"apiVersions":{}}"#, r#"{"hasApiVersion":{"name":"v1"}}"#, r#"{"tree":{}}"#]
        {
            assert!(heard(format!(r#"{{"ask":{ask}}}"#).as_bytes()).unwrap().ask.is_some(), "{ask}");
        }
    }

    #[test]
    fn what_is_no_message_is_not_repeated() {
        for text in ["secret", r#"{"done":{"documents":"secret"}}"#, r#"{"ask":{"secret":{}}}"#, "\u{0}"] {
            let error = heard(text.as_bytes()).err().unwrap_or_default();
            assert!(error.starts_with("what is no") && !error.contains("secret"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_a_message_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
            let _ = heard(&bytes);
        }

        #[test]
        fn almost_messages_are_a_message_or_an_error(text in r#"\{"(ask|done|needs|hello)":[\[\]{}":,a-z0-9]{0,40}\}"#) {
            let _ = heard(text.as_bytes());
        }
    }
}
