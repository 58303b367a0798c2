//! Charts and other archives, packed in memory.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A chart, or anything else that is packed as one: files below a directory of its name.
#[derive(Debug, Clone)]
pub struct Chart {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    files: Vec<(String, String)>,
}

impl Chart {
    /// A chart with its `Chart.yaml` and nothing else.
    pub fn new(name: &str, version: &str) -> Self {
        let about = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
        Self { name: name.to_owned(), version: version.to_owned(), files: Vec::new() }.file("Chart.yaml", &about)
    }

    /// With a file more.
    #[must_use]
    pub fn file(mut self, path: &str, content: &str) -> Self {
        self.files.push((path.to_owned(), content.to_owned()));
        self
    }

    /// What `helm package` makes of it: equal charts make equal bytes.
    pub fn archive(&self) -> Vec<u8> {
        let files = self.files.iter().map(|(path, content)| (format!("{}/{path}", self.name), content.as_str()));
        pack(files)
    }
}

/// Files with their paths as `tar+gzip`. Equal files make equal bytes.
pub fn pack<'c>(files: impl IntoIterator<Item = (impl AsRef<str>, &'c str)>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // Writing to memory cannot fail, and the paths of tests are good ones.
        let _ = builder.append_data(&mut header, path.as_ref(), content.as_bytes());
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let _ = encoder.write_all(&builder.into_inner().unwrap_or_default());
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_charts_are_equal_bytes() {
        let chart = || Chart::new("redis", "1.2.3").file("templates/a.yaml", "a").archive();
        assert_eq!(chart(), chart());
        assert_eq!(chart()[..2], [0x1f, 0x8b]);
        assert_ne!(chart(), Chart::new("redis", "1.2.4").archive());
    }
}
