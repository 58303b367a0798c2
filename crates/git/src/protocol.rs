//! Version 2 of the Git protocol, as far as a reader needs it: what a server can do, which commit a ref is at, give me a pack.
//!
//! The commands run over a [`Wire`], which carries one request and hands out its answer in pieces: HTTP or SSH.
//! After git's `gitprotocol-v2`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::pkt::{self, Decoder, Encoder, Packet};
use crate::remote::Remote;
use crate::{CommitId, GitError, Limits, TagId};

/// How we name ourselves to servers. Some tell git's clients from browsers by the beginning.
pub(crate) const AGENT: &str = concat!("git/trueup-", env!("CARGO_PKG_VERSION"));
/// The only format of object ids that libgit2 reads as we build it.
const OBJECT_FORMAT: &str = "sha1";

/// One byte stream to a server: a request, then its answer.
pub(crate) trait Wire {
    type Answer: Answer;

    /// Sends one whole command.
    async fn send(&self, command: Vec<u8>) -> Result<Self::Answer, GitError>;

    /// Whom this wire leads to.
    fn remote(&self) -> &Remote;
}

/// An answer that arrives in pieces.
pub(crate) trait Answer {
    /// The next piece; `None` at the end.
    async fn piece(&mut self) -> Result<Option<Bytes>, GitError>;

    /// All that belongs to the answer has been read: what it came on may carry the next.
    fn done(self);
}

/// What the server said that it can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Capabilities {
    /// Commits can be had without their history.
    pub(crate) shallow: bool,
    /// It wants to hear the object format.
    pub(crate) object_format: bool,
}

/// One ref of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ref {
    pub(crate) name: String,
    /// What the ref stands for; of an annotated tag, what it is about.
    pub(crate) id: CommitId,
    /// The annotated tag itself.
    pub(crate) tag: Option<TagId>,
}

/// What is asked of a server in one fetch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Want<'a> {
    pub(crate) commits: &'a [CommitId],
    /// Commits that we have, each whole, but perhaps without history.
    pub(crate) have: &'a [CommitId],
    /// The wanted commits with all their history.
    pub(crate) history: bool,
}

/// How a fetch ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// The pack has been handed over whole.
    Pack,
    /// The server does not give out a commit: its words.
    Refused(String),
}

/// Reads the announcement that answers the first request.
pub(crate) async fn capabilities<A: Answer>(
    answer: A,
    remote: &Remote,
    limits: &Limits,
) -> Result<Capabilities, GitError> {
    let mut packets = Packets::new(answer, remote, limits.listing_bytes, "the announcement of the server");
    let mut first = packets.next().await?;
    // Over HTTP the announcement may begin with a section of its own that names the service.
    if matches!(&first, Packet::Data(line) if line.starts_with(b"# service=")) {
        packets.next().await?;
        first = packets.next().await?;
    }
    match first {
        Packet::Data(line) if pkt::text(&line) == "version 2" => {}
        Packet::Data(line) if line.starts_with(b"ERR ") => return Err(server(remote, &line[4..])),
        _ => return Err(GitError::NoProtocolV2 { repository: remote.to_string() }),
    }
    let mut capabilities = Capabilities { shallow: false, object_format: false };
    let mut fetch = false;
    while let Packet::Data(line) = packets.next().await? {
        let line = pkt::text(&line);
        let (key, value) = line.split_once('=').unwrap_or((&line, ""));
        match key {
            "fetch" => {
                fetch = true;
                capabilities.shallow = value.split(' ').any(|feature| feature == "shallow");
            }
            "object-format" if value == OBJECT_FORMAT => capabilities.object_format = true,
            "object-format" => {
                return Err(GitError::ObjectFormat { repository: remote.to_string(), format: remote.scrub(value) });
            }
            _ => {}
        }
    }
    packets.done();
    if fetch { Ok(capabilities) } else { Err(GitError::NoProtocolV2 { repository: remote.to_string() }) }
}

/// Lists the refs whose names begin with one of the prefixes, peeled.
pub(crate) async fn list<W: Wire>(
    wire: &W,
    capabilities: &Capabilities,
    prefixes: &[String],
    limits: &Limits,
) -> Result<Vec<Ref>, GitError> {
    let mut request = command("ls-refs", capabilities);
    request.line("peel");
    for prefix in prefixes {
        request.line(&format!("ref-prefix {prefix}"));
    }
    let remote = wire.remote();
    let answer = wire.send(request.flush()).await?;
    let mut packets = Packets::new(answer, remote, limits.listing_bytes, "the listing of refs");
    let mut refs = Vec::new();
    loop {
        match packets.next().await? {
            Packet::Data(line) if line.starts_with(b"ERR ") => return Err(server(remote, &line[4..])),
            Packet::Data(line) => {
                if refs.len() == limits.listing_refs {
                    let (what, limit) =
                        ("the number of refs with such a name".to_owned(), limits.listing_refs.to_string());
                    return Err(GitError::TooLarge { repository: remote.to_string(), what, limit });
                }
                let line = pkt::text(&line);
                if line.starts_with("unborn ") {
                    // The HEAD of an empty repository.
                    continue;
                }
                refs.push(
                    read_ref(&line).ok_or_else(|| garbled(remote, &format!("'{line}' is no line of a listing")))?,
                );
            }
            Packet::Flush => {
                packets.done();
                return Ok(refs);
            }
            Packet::Delimiter | Packet::ResponseEnd => {
                return Err(garbled(remote, "a listing ends with a flush packet"));
            }
        }
    }
}

/// One line of a listing.
fn read_ref(line: &str) -> Option<Ref> {
    let mut words = line.split(' ');
    let mut id: CommitId = words.next()?.parse().ok()?;
    let name = words.next()?.to_owned();
    let mut tag = None;
    for attribute in words {
        if let Some(peeled) = attribute.strip_prefix("peeled:") {
            tag = Some(TagId::from(*id.as_bytes()));
            id = peeled.parse().ok()?;
        }
    }
    Some(Ref { name, id, tag })
}

/// Asks for commits and hands the bytes of the pack to `sink` as they come.
pub(crate) async fn fetch<W: Wire>(
    wire: &W,
    capabilities: &Capabilities,
    want: &Want<'_>,
    limits: &Limits,
    mut sink: impl FnMut(&[u8]) -> Result<(), GitError>,
) -> Result<Fetched, GitError> {
    let remote = wire.remote();
    let answer = wire.send(fetch_command(capabilities, want)).await?;
    // Beside the pack there are progress texts and at most one line per commit: a quarter more is plenty.
    let most = limits.pack_bytes.saturating_add(limits.pack_bytes / 4).saturating_add(limits.listing_bytes);
    let mut packets = Packets::new(answer, remote, most, "the answer to a fetch");
    loop {
        let section = match packets.next().await? {
            Packet::Data(line) if line.starts_with(b"ERR ") => return refusal(remote, want, &line[4..]),
            Packet::Data(line) => line,
            Packet::Flush | Packet::Delimiter | Packet::ResponseEnd => {
                return Err(garbled(remote, "the answer has no pack"));
            }
        };
        if pkt::text(&section) == "packfile" {
            break;
        }
        while let Packet::Data(line) = packets.next().await? {
            if line.starts_with(b"ERR ") {
                return refusal(remote, want, &line[4..]);
            }
        }
    }
    loop {
        let data = match packets.next().await? {
            Packet::Data(data) => data,
            Packet::Flush => {
                packets.done();
                return Ok(Fetched::Pack);
            }
            Packet::Delimiter | Packet::ResponseEnd => return Err(garbled(remote, "a pack ends with a flush packet")),
        };
        match data.split_first() {
            Some((1, pack)) => sink(pack)?,
            Some((2, _progress)) => {}
            Some((3, text)) => return refusal(remote, want, text),
            _ => return Err(garbled(remote, "a packet of a pack begins with its band, 1 to 3")),
        }
    }
}

fn fetch_command(capabilities: &Capabilities, want: &Want<'_>) -> Vec<u8> {
    let mut request = command("fetch", capabilities);
    request.line("thin-pack").line("ofs-delta").line("no-progress");
    if capabilities.shallow && !want.history {
        // What we have ends where it begins, so that the server never takes an ancestor for granted.
        for id in want.have {
            request.line(&format!("shallow {id}"));
        }
        request.line("deepen 1");
    }
    for id in want.commits {
        request.line(&format!("want {id}"));
    }
    for id in want.have {
        request.line(&format!("have {id}"));
    }
    request.line("done").flush()
}

fn command(name: &str, capabilities: &Capabilities) -> Encoder {
    let mut request = Encoder::default();
    request.line(&format!("command={name}")).line(&format!("agent={AGENT}"));
    if capabilities.object_format {
        request.line(&format!("object-format={OBJECT_FORMAT}"));
    }
    request.delimiter();
    request
}

/// An error text about a wanted commit is an answer, not a failure; git says `upload-pack: not our ref <id>`, others otherwise.
fn refusal(remote: &Remote, want: &Want<'_>, text: &[u8]) -> Result<Fetched, GitError> {
    let words = remote.scrub(&String::from_utf8_lossy(text));
    let about_a_want = want.commits.iter().any(|id| words.contains(&id.to_string()));
    if about_a_want { Ok(Fetched::Refused(words)) } else { Err(server(remote, text)) }
}

fn server(remote: &Remote, text: &[u8]) -> GitError {
    GitError::Server { repository: remote.to_string(), message: remote.scrub(&String::from_utf8_lossy(text)) }
}

fn garbled(remote: &Remote, detail: &str) -> GitError {
    GitError::Protocol { repository: remote.to_string(), detail: remote.scrub(detail) }
}

/// The packets of an answer, counted.
struct Packets<'a, A> {
    answer: A,
    decoder: Decoder,
    remote: &'a Remote,
    left: u64,
    limit: u64,
    what: &'static str,
}

impl<'a, A: Answer> Packets<'a, A> {
    fn new(answer: A, remote: &'a Remote, limit: u64, what: &'static str) -> Self {
        Self { answer, decoder: Decoder::default(), remote, left: limit, limit, what }
    }

    async fn next(&mut self) -> Result<Packet, GitError> {
        loop {
            match self.decoder.next() {
                Ok(Some(packet)) => return Ok(packet),
                Ok(None) => {}
                Err(error) => return Err(garbled(self.remote, &error.to_string())),
            }
            let Some(piece) = self.answer.piece().await? else {
                let place = if self.decoder.is_empty() { "ended" } else { "ended in the middle of a packet" };
                return Err(garbled(self.remote, &format!("{} {place} too early", self.what)));
            };
            self.left = self.left.checked_sub(piece.len() as u64).ok_or_else(|| GitError::TooLarge {
                repository: self.remote.to_string(),
                what: self.what.to_owned(),
                limit: format!("{} bytes", self.limit),
            })?;
            self.decoder.push(&piece);
        }
    }

    /// The answer has ended where it should. One that goes on is nothing to build on.
    fn done(self) {
        if self.decoder.is_empty() {
            self.answer.done();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{Access, RepoUrl};

    /// A wire whose server always says the same.
    struct Said {
        remote: Remote,
        answer: Vec<u8>,
        heard: Mutex<Vec<u8>>,
    }

    struct Pieces(std::vec::IntoIter<u8>);

    impl Answer for Pieces {
        async fn piece(&mut self) -> Result<Option<Bytes>, GitError> {
            let piece: Vec<u8> = self.0.by_ref().take(7).collect();
            Ok((!piece.is_empty()).then(|| piece.into()))
        }

        fn done(self) {}
    }

    impl Wire for Said {
        type Answer = Pieces;

        async fn send(&self, command: Vec<u8>) -> Result<Pieces, GitError> {
            *self.heard.lock().unwrap() = command;
            Ok(Pieces(self.answer.clone().into_iter()))
        }

        fn remote(&self) -> &Remote {
            &self.remote
        }
    }

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";
    const OTHER: &str = "89abcdef0123456789abcdef0123456701234567";
    const ALL: Capabilities = Capabilities { shallow: true, object_format: true };

    fn said(lines: &[&str]) -> Said {
        let mut answer = Vec::new();
        for line in lines {
            match *line {
                "0000" | "0001" => answer.extend_from_slice(line.as_bytes()),
                line => answer.extend_from_slice(format!("{:04x}{line}", line.len() + 4).as_bytes()),
            }
        }
        let url = RepoUrl::parse("http://bot:secret@host/a").unwrap();
        Said { remote: Remote { url, access: Access::default() }, answer, heard: Mutex::default() }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn announced(lines: &[&str]) -> Result<Capabilities, GitError> {
        let said = said(lines);
        run(capabilities(Pieces(said.answer.clone().into_iter()), &said.remote, &Limits::default()))
    }

    #[test]
    fn an_announcement_says_what_the_server_can() {
        let git = [
            "version 2\n",
            "agent=git/2.39\n",
            "ls-refs=unborn\n",
            "fetch=shallow wait-for-done\n",
            "object-format=sha1\n",
            "0000",
        ];
        assert_eq!(announced(&git), Ok(ALL));
        let plain = ["# service=git-upload-pack\n", "0000", "version 2\n", "ls-refs\n", "fetch\n", "0000"];
        assert_eq!(announced(&plain), Ok(Capabilities { shallow: false, object_format: false }));
        let repository = "http://host/a".to_owned();
        let old = [
            "# service=git-upload-pack\n",
            "0000",
            "0123456789abcdef0123456789abcdef01234567 HEAD\0multi_ack\n",
            "0000",
        ];
        assert_eq!(announced(&old), Err(GitError::NoProtocolV2 { repository: repository.clone() }));
        let sha256 = ["version 2\n", "fetch\n", "object-format=sha256\n", "0000"];
        assert_eq!(announced(&sha256), Err(GitError::ObjectFormat { repository, format: "sha256".to_owned() }));
    }

    #[test]
    fn a_listing_asks_by_prefix_and_peels_tags() {
        let said = said(&[
            &format!("{ID} refs/heads/a\n"),
            &format!("{OTHER} refs/tags/a peeled:{ID}\n"),
            "unborn HEAD symref-target:refs/heads/x\n",
            "0000",
        ]);
        let refs = run(list(&said, &ALL, &["refs/heads/a".to_owned()], &Limits::default())).unwrap();
        let id: CommitId = ID.parse().unwrap();
        let tag = Some(OTHER.parse().unwrap());
        let both = [("refs/heads/a", None), ("refs/tags/a", tag)];
        assert_eq!(refs, both.map(|(name, tag)| Ref { name: name.to_owned(), id, tag }));
        let heard = String::from_utf8(said.heard.lock().unwrap().clone()).unwrap();
        assert!(heard.starts_with("0014command=ls-refs\n"), "{heard}");
        assert!(heard.ends_with("object-format=sha1\n00010009peel\n001cref-prefix refs/heads/a\n0000"), "{heard}");
    }

    #[test]
    fn a_listing_has_limits() {
        let line = format!("{ID} refs/heads/a\n");
        let lines = [line.as_str(), line.as_str(), "0000"];
        for limits in
            [Limits { listing_refs: 1, ..Limits::default() }, Limits { listing_bytes: 60, ..Limits::default() }]
        {
            assert!(matches!(run(list(&said(&lines), &ALL, &[], &limits)), Err(GitError::TooLarge { .. })));
        }
    }

    #[test]
    fn a_shallow_fetch_claims_no_history() {
        let (id, other) = (ID.parse().unwrap(), OTHER.parse().unwrap());
        let want = Want { commits: &[id], have: &[other], history: false };
        let told = |capabilities: &Capabilities, want: &Want<'_>| {
            let text = String::from_utf8(fetch_command(capabilities, want)).unwrap();
            text.lines()
                .skip_while(|line| !line.contains("no-progress"))
                .skip(1)
                .map(|line| line[4..].to_owned())
                .collect::<Vec<_>>()
        };
        let (wanted, had) = (format!("want {ID}"), format!("have {OTHER}"));
        assert_eq!(told(&ALL, &want), [&format!("shallow {OTHER}"), "deepen 1", &wanted, &had, "done", ""]);
        assert_eq!(told(&Capabilities { shallow: false, ..ALL }, &want), [&wanted, &had, "done", ""]);
        assert_eq!(told(&ALL, &Want { history: true, have: &[], ..want }), [&wanted, "done", ""]);
    }

    #[test]
    fn a_pack_is_handed_over_without_progress_and_other_sections() {
        let said = said(&[
            "shallow-info\n",
            &format!("shallow {ID}\n"),
            "0001",
            "packfile\n",
            "\u{1}PA",
            "\u{2}50%",
            "\u{1}CK",
            "0000",
        ]);
        let mut pack = Vec::new();
        let want = Want { commits: &[ID.parse().unwrap()], ..Want::default() };
        let sink = |bytes: &[u8]| {
            pack.extend_from_slice(bytes);
            Ok(())
        };
        assert_eq!(run(fetch(&said, &ALL, &want, &Limits::default(), sink)), Ok(Fetched::Pack));
        assert_eq!(pack, b"PACK");
    }

    #[test]
    fn a_refused_commit_is_told_from_a_failing_server() {
        let want = Want { commits: &[ID.parse().unwrap()], ..Want::default() };
        let ended = |lines: &[&str]| run(fetch(&said(lines), &ALL, &want, &Limits::default(), |_| Ok(())));
        let words = format!("upload-pack: not our ref {ID}");
        assert_eq!(ended(&[&format!("ERR {words}")]), Ok(Fetched::Refused(words.clone())));
        assert_eq!(ended(&["packfile\n", &format!("\u{3}{words}")]), Ok(Fetched::Refused(words)));
        let message = "disk full for …".to_owned();
        let repository = "http://host/a".to_owned();
        assert_eq!(ended(&["packfile\n", "\u{3}disk full for secret"]), Err(GitError::Server { repository, message }));
        for cut in [&["packfile\n", "\u{1}PACK"][..], &["packfile\n", "\u{7}"], &["0000"], &[]] {
            assert!(matches!(ended(cut), Err(GitError::Protocol { .. })), "{cut:?}");
        }
    }
}
