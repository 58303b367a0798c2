//! The manifest of a chart or an artifact in a registry, and which of its layers is the archive.
//!
//! Pure. Entry point: [`Manifest::layer`].

use serde::Deserialize;

use crate::cost::Cost;
use crate::digest::Digest;

/// What a chart's archive is called.
const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// What Helm called it before version 3.7.
const CHART_BEFORE: &str = "application/tar+gzip";
/// What the content of an artifact may be called; Argo CD's default.
const CONTENT: [&str; 3] =
    ["application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip", CHART];
/// Layers of an artifact. Beside its content there are signatures and the like, of which nobody has many.
const LAYERS_MAX: usize = 10;
/// What a registry is asked for. An index too, to be able to say that it is one.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json";

/// What is kept of a manifest.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Manifest {
    #[serde(default)]
    layers: Option<Vec<Layer>>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
    size: u64,
}

/// The layer that is the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// Whether it is a chart, whose files are below a directory.
    pub(crate) chart: bool,
    /// Whether it is compressed.
    pub(crate) gzip: bool,
}

impl Manifest {
    /// Reads a manifest.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(text).map_err(|error| format!("it cannot be read: {error}"))
    }

    /// The archive of a chart, or of any artifact.
    pub(crate) fn layer(&self, chart: bool) -> Result<Blob, String> {
        let layers = self.layers.as_deref().unwrap_or_default();
        if self.manifests.is_some() && layers.is_empty() {
            return Err("it is an index of several manifests: name the digest of one of them".to_owned());
        }
        let found = if chart { of_chart(layers)? } else { content(layers)? };
        let digest = Digest::parse(&found.digest).ok_or("the digest of its layer is not sha256 or sha512")?;
        let kind = found.media_type.as_str();
        Ok(Blob { digest, size: found.size, chart: chart || kind == CHART, gzip: kind.ends_with("gzip") })
    }
}

impl Cost for Manifest {
    fn cost(&self) -> u64 {
        let layers = self.layers.iter().flatten();
        let text = |layer: &Layer| layer.media_type.len() + layer.digest.len() + size_of::<Layer>();
        layers.map(|layer| text(layer) as u64).sum()
    }
}

fn of_chart(layers: &[Layer]) -> Result<&Layer, String> {
    let called = |name: &str| layers.iter().find(|layer| layer.media_type == name);
    called(CHART)
        .or_else(|| called(CHART_BEFORE))
        .ok_or_else(|| format!("it is no Helm chart: it has no layer of the type {CHART}, but {}", kinds(layers)))
}

fn content(layers: &[Layer]) -> Result<&Layer, String> {
    if layers.len() > LAYERS_MAX {
        return Err(format!("it has {} layers, and at most {LAYERS_MAX} are accepted", layers.len()));
    }
    let is_archive = |layer: &&Layer| layer.media_type.ends_with("tar+gzip") || layer.media_type.ends_with("tar");
    let archives: Vec<&Layer> = layers.iter().filter(is_archive).collect();
    match archives[..] {
        [one] if CONTENT.contains(&one.media_type.as_str()) => Ok(one),
        [_] => Err(format!("its layer has the type {}: push it as {}", kinds(layers), CONTENT[1])),
        [] => Err(format!("it has no layer of the type {}, but {}", CONTENT[1], kinds(layers))),
        _ => Err(format!("it has {} layers with content: push all files in one", archives.len())),
    }
}

/// The types that there are, for people.
fn kinds(layers: &[Layer]) -> String {
    /// Characters of a type that are shown.
    const KIND_MAX: usize = 80;
    let shown = |layer: &Layer| {
        let plain = layer.media_type.chars().filter(|c| !c.is_control());
        format!("'{}'", plain.take(KIND_MAX).collect::<String>())
    };
    match layers {
        [] => "none".to_owned(),
        layers => layers.iter().take(LAYERS_MAX).map(shown).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(kinds: &[&str]) -> Manifest {
        let layers: Vec<_> = kinds
            .iter()
            .map(|kind| serde_json::json!({"mediaType": kind, "digest": Digest::of(b"x").to_string(), "size": 7, "urls": []}))
            .collect();
        let text = serde_json::json!({"schemaVersion": 2, "config": {}, "layers": layers}).to_string();
        Manifest::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_archive_is_found_among_the_layers() {
        let provenance = "application/vnd.cncf.helm.chart.provenance.v1.prov";
        let chart = Blob { digest: Digest::of(b"x"), size: 7, chart: true, gzip: true };
        assert_eq!(manifest(&[provenance, CHART]).layer(true), Ok(chart.clone()));
        assert_eq!(manifest(&[CHART_BEFORE]).layer(true), Ok(chart.clone()));
        assert_eq!(manifest(&[CHART]).layer(false), Ok(chart));
        let content =
            |kind| manifest(&[kind, "application/vnd.in-toto+json"]).layer(false).map(|it| (it.chart, it.gzip));
        assert_eq!(content(CONTENT[0]), Ok((false, false)));
        assert_eq!(content(CONTENT[1]), Ok((false, true)));
    }

    #[test]
    fn what_has_no_archive_says_what_it_has() {
        let error = |kinds: &[&str], chart| manifest(kinds).layer(chart).unwrap_err();
        assert!(error(&[CONTENT[1]], true).contains("no Helm chart"));
        assert!(error(&[], false).ends_with("but none"));
        assert!(error(&["application/x\u{1b}[31m.tar"], false).contains("'application/x[31m.tar'"));
        assert!(error(&[CONTENT[1], CONTENT[0]], false).contains("2 layers"));
        assert!(error(&[CONTENT[1]; 11], false).contains("11 layers"));
        let index = Manifest::parse(br#"{"manifests":[{"digest":"x"}]}"#).unwrap();
        assert!(index.layer(false).unwrap_err().contains("index of several"));
        let md5 = br#"{"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"md5:0","size":1}]}"#;
        assert!(Manifest::parse(md5).unwrap().layer(false).unwrap_err().contains("sha256"));
        for text in ["", "[1]", r#"{"layers":[{"size":-1}]}"#, "<html>"] {
            assert!(Manifest::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
