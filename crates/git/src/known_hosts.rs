//! Which keys an SSH host has, as a `known_hosts` file says (sshd(8)): names and patterns, hashed names, `[host]:port`,
//! `@revoked`. Lines that cannot be read vouch for nobody; one that cannot be read and says `@revoked` is a refusal.
//!
//! Pure. Entry points: [`lines_for`] and [`KnownHosts::judge`].

use aws_lc_rs::hmac;
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey};

use crate::ssh_place::SshPlace;

/// What is known of one host.
#[derive(Debug, Default)]
pub(crate) struct KnownHosts {
    keys: Vec<PublicKey>,
    revoked: Vec<PublicKey>,
    /// Somebody vouches for it by a certificate.
    has_authority: bool,
    /// A key is revoked, and nobody can tell which.
    unreadable: bool,
}

/// A line that concerns a host.
enum Line {
    /// By its own name, or else by the plain one of a host at a port of its own.
    Read {
        entry: Box<Entry>,
        own: bool,
    },
    UnreadableRevocation,
}

/// What a key is that a host shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    Known,
    Unknown,
    /// Keys of the same kind are known, and this is none of them.
    Changed(Vec<String>),
    Revoked,
    /// A line revokes a key, perhaps this one, and cannot be read: nobody is to be let in by a slip of the pen.
    UnreadableRevocation,
    /// Nothing is known but an authority that signs host certificates.
    AuthorityOnly,
}

// === impl KnownHosts ===

impl KnownHosts {
    /// Reads what a file says of a host.
    pub(crate) fn of(place: &SshPlace, file: &str) -> Self {
        let mut known = Self::default();
        // What is said of the host without a port counts only if nothing is said of the one at this port, as in OpenSSH.
        let mut elsewhere = Self::default();
        for line in file.lines().filter_map(|line| line_for(place, line)) {
            let (entry, own) = match line {
                Line::Read { entry, own } => (entry, own),
                Line::UnreadableRevocation => {
                    known.unreadable = true;
                    continue;
                }
            };
            let told = if own { &mut known } else { &mut elsewhere };
            match entry.marker() {
                None => told.keys.push(entry.public_key().clone()),
                Some(Marker::Revoked) => known.revoked.push(entry.public_key().clone()),
                Some(Marker::CertAuthority) => told.has_authority = true,
            }
        }
        if known.keys.is_empty() && !known.has_authority {
            (known.keys, known.has_authority) = (elsewhere.keys, elsewhere.has_authority);
        }
        known
    }

    /// The algorithms to ask for, those first of which a key is known: a host that has several shows the one that we know.
    pub(crate) fn algorithms(&self) -> Vec<Algorithm> {
        let mut all = vec![
            Algorithm::Ed25519,
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
            // Never with SHA-1.
            Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
            Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
        ];
        all.sort_by_key(|algorithm| !self.keys.iter().any(|key| is_same_kind(&key.algorithm(), algorithm)));
        all
    }

    /// What a key is that the host shows.
    pub(crate) fn judge(&self, shown: &PublicKey) -> Judgement {
        let is_among = |keys: &[PublicKey]| keys.iter().any(|key| key.key_data() == shown.key_data());
        if self.unreadable {
            return Judgement::UnreadableRevocation;
        }
        if is_among(&self.revoked) {
            return Judgement::Revoked;
        }
        if is_among(&self.keys) {
            return Judgement::Known;
        }
        let same_kind = self.keys.iter().filter(|key| is_same_kind(&key.algorithm(), &shown.algorithm()));
        let same_kind: Vec<String> = same_kind.map(fingerprint).collect();
        if !same_kind.is_empty() {
            Judgement::Changed(same_kind)
        } else if self.keys.is_empty() && self.has_authority {
            Judgement::AuthorityOnly
        } else {
            Judgement::Unknown
        }
    }
}

/// The lines of a file that concern a host: a change of others is no reason to look at it anew.
pub(crate) fn lines_for(place: &SshPlace, file: &str) -> String {
    file.lines().filter(|line| line_for(place, line).is_some()).fold(String::new(), |text, line| text + line + "\n")
}

/// Algorithm and fingerprint, as OpenSSH prints them.
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    // The signature's hash is no part of a key: "ssh-rsa" is what its kind is called.
    let algorithm = key.algorithm();
    let name = if matches!(algorithm, Algorithm::Rsa { .. }) { "ssh-rsa" } else { algorithm.as_str() };
    format!("{name} {}", key.fingerprint(HashAlg::Sha256))
}

fn is_same_kind(one: &Algorithm, other: &Algorithm) -> bool {
    one == other || matches!((one, other), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }))
}

/// The line, if it names the host. A host at a port of its own goes by `[host]:port`, and by its name alone, as in OpenSSH.
fn line_for(place: &SshPlace, line: &str) -> Option<Line> {
    // The parser knows of single spaces only.
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    match fields.join(" ").parse::<Entry>() {
        Ok(entry) => {
            let own = is_for(entry.host_patterns(), &place.known_as());
            let named = own || is_for(entry.host_patterns(), &place.host);
            named.then(|| Line::Read { entry: Box::new(entry), own })
        }
        Err(_) => is_unreadable_revocation(place, &fields).then_some(Line::UnreadableRevocation),
    }
}

/// Whether a line that cannot be read may revoke a key that the host could show.
fn is_unreadable_revocation(place: &SshPlace, fields: &[&str]) -> bool {
    if !fields.first().is_some_and(|marker| marker.eq_ignore_ascii_case("@revoked")) {
        return false;
    }
    let names: Option<HostPatterns> = fields.get(1).and_then(|names| names.parse().ok());
    let named = names.is_none_or(|names| is_for(&names, &place.known_as()) || is_for(&names, &place.host));
    named && !fields.get(2).is_some_and(|kind| *kind == "ssh-dss" || kind.starts_with("sk-"))
}

fn is_for(names: &HostPatterns, name: &str) -> bool {
    match names {
        HostPatterns::Patterns(patterns) => is_named(patterns, name),
        HostPatterns::HashedName { salt, hash } => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            hmac::verify(&key, name.as_bytes(), hash).is_ok()
        }
    }
}

fn is_named(patterns: &[String], name: &str) -> bool {
    let mut named = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(not) if is_match(not, name) => return false,
            Some(_) => {}
            None => named |= is_match(pattern, name),
        }
    }
    named
}

/// `*` is any text, `?` any letter; case does not count.
fn is_match(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase().into_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where the last star was, and which letter it took up to.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP6WNg+LAFlyqL2/K0u5u2gCGR2f+8Zz6mtE1dvdTIWQ";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBBSwU1kqzi1zSJnsRiJ+pZ9gH94iibI6T1WUACayIWPtat/KRDsblqpqxey2fBNgIEq1Zdj7YvsPQJGkxIMADDE=";
    /// `github.com`, by `ssh-keygen -H`.
    const HASHED: &str = "|1|Z68AsHnuTKA+sGv6IjXSHBPwXRM=|Kb+UxsAQ3km7JSdV4nxRXG+80/U=";

    fn place(url: &str) -> SshPlace {
        SshPlace::from_url(url).unwrap()
    }

    fn key(text: &str) -> PublicKey {
        text.parse().unwrap()
    }

    fn judged(file: &str, url: &str) -> Judgement {
        KnownHosts::of(&place(url), file).judge(&key(ED))
    }

    #[test]
    fn names_patterns_and_ports() {
        let known = ["github.com", "GitHub.com,140.82.121.4", "*.com", "git???.com", "*", "[github.com]:22,github.com"];
        for names in known {
            assert_eq!(judged(&format!("{names} {ED} comment"), "github.com/a"), Judgement::Known, "{names}");
        }
        for names in ["github.co", "ithub.com", "*.com,!github.com", "[github.com]:443", "git?.com", ""] {
            assert_eq!(judged(&format!("{names} {ED}"), "github.com/a"), Judgement::Unknown, "{names}");
        }
        for names in ["[github.com]:443", "github.com", "[*]:443"] {
            assert_eq!(judged(&format!("{names} {ED}"), "github.com:443/a"), Judgement::Known, "{names}");
        }
        assert_eq!(judged(&format!("[github.com]:22 {ED}"), "github.com:443/a"), Judgement::Unknown);
    }

    #[test]
    fn a_changed_key_is_told_from_an_unknown_one() {
        assert_eq!(judged("", "h/a"), Judgement::Unknown);
        assert_eq!(judged(&format!("h {ECDSA}"), "h/a"), Judgement::Unknown);
        let changed = judged(&format!("h {OTHER}\nh {ECDSA}"), "h/a");
        assert_eq!(changed, Judgement::Changed(vec![fingerprint(&key(OTHER))]));
        // While a key is being replaced, both are there.
        assert_eq!(judged(&format!("h {OTHER}\nh {ED}"), "h/a"), Judgement::Known);
    }

    #[test]
    fn markers_are_obeyed() {
        assert_eq!(judged(&format!("h {ED}\n@revoked * {ED}"), "h/a"), Judgement::Revoked);
        assert_eq!(judged(&format!("@cert-authority h {OTHER}"), "h/a"), Judgement::AuthorityOnly);
        assert_eq!(judged(&format!("@cert-authority h {ED}"), "h/a"), Judgement::AuthorityOnly);
        assert_eq!(judged(&format!("@cert-authority h {OTHER}\nh {ED}"), "h/a"), Judgement::Known);
    }

    #[test]
    fn what_cannot_be_read_vouches_for_nobody_and_harms_nobody() {
        // The blanks between the fields are as many as somebody likes.
        let file = format!("# a comment\n\nh\nh ssh-dss AAAA\nh {}\n|1|x|y {ED}\n@odd h {ED}\n  h {ED}  \n", &ED[..60]);
        assert_eq!(judged(&file, "h/a"), Judgement::Known);
        assert_eq!(judged(&file, "other/a"), Judgement::Unknown);
        assert_eq!(lines_for(&place("h/a"), &file), format!("  h {ED}  \n"));
    }

    #[test]
    fn a_host_at_a_port_goes_by_its_plain_name_only_if_the_port_is_unknown() {
        let both = format!("[h]:2222 {OTHER}\nh {ED}");
        assert_eq!(judged(&both, "h:2222/a"), Judgement::Changed(vec![fingerprint(&key(OTHER))]));
        assert_eq!(judged(&both, "h/a"), Judgement::Known);
        assert_eq!(judged(&format!("@cert-authority [h]:2222 {OTHER}\nh {ED}"), "h:2222/a"), Judgement::AuthorityOnly);
        // Whatever name a revocation is under.
        for revoked in ["h", "[h]:2222"] {
            assert_eq!(judged(&format!("[h]:2222 {ED}\n@revoked {revoked} {ED}"), "h:2222/a"), Judgement::Revoked);
        }
    }

    #[test]
    fn a_revocation_counts_however_it_is_written() {
        for (one, two, three) in [("\t", " ", " "), ("  ", "\t\t", " \t"), (" ", " ", "   ")] {
            let key = ED.replace(' ', three);
            let file = format!("h\t{key}  comment\n  @revoked{one}*{two}{key}\r\n");
            assert_eq!(judged(&file, "h/a"), Judgement::Revoked, "{file:?}");
            assert_eq!(judged(file.lines().next().unwrap(), "h/a"), Judgement::Known);
        }
        for harmless in ["@revoked h ssh-dss AAAA", "@revoked other ssh-ed25519 AAAA", "# @revoked"] {
            assert_eq!(judged(&format!("h {ED}\n{harmless}"), "h/a"), Judgement::Known, "{harmless}");
        }
        for line in ["@revoked", "@revoked h", "@revoked h ssh-ed25519 AAAA", "@REVOKED h x", "@revoked |1|x|y z"] {
            let file = format!("h {ED}\n{line}\n");
            assert_eq!(judged(&file, "h/a"), Judgement::UnreadableRevocation, "{line}");
            assert_eq!(lines_for(&place("h/a"), &file), file, "{line}");
        }
    }

    #[test]
    fn what_is_known_is_asked_for_first() {
        let algorithms = |file: &str| KnownHosts::of(&place("h/a"), file).algorithms();
        assert_eq!(algorithms("").first(), Some(&Algorithm::Ed25519));
        let ecdsa = algorithms(&format!("h {ECDSA}"));
        assert_eq!(ecdsa.first(), Some(&Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }));
        assert!(!ecdsa.contains(&Algorithm::Rsa { hash: None }) && ecdsa.len() == 6);
    }

    #[test]
    fn a_fingerprint_is_written_as_openssh_does() {
        assert_eq!(fingerprint(&key(ED)), "ssh-ed25519 SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
    }

    #[test]
    fn a_hashed_name_names_its_host() {
        assert_eq!(judged(&format!("{HASHED} {ED}"), "github.com/a"), Judgement::Known);
        assert_eq!(judged(&format!("{HASHED} {ED}"), "gitlab.com/a"), Judgement::Unknown);
    }
}
