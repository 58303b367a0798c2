//! Every limit of this crate.

use std::time::Duration;

/// What a package, an index and a cache may cost. The default is for everybody; tests set others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an `index.yaml`. The largest public ones have some 25 MB; only names, versions, URLs and digests of it are kept.
    pub index_bytes: u64,
    /// Versions in one index, of all charts. The largest public ones have some 30,000.
    pub index_versions: usize,
    /// Bytes of a manifest in a registry: what registries themselves accept.
    pub manifest_bytes: u64,
    /// Tags that are asked for at a time. Registries give fewer if they want.
    pub tags_per_page: u32,
    /// Tags of one repository of a registry. Nightly builds of years make some thousands.
    pub tags: usize,
    /// Pages of a list of tags. Registries give a hundred or a thousand at a time.
    pub tag_pages: usize,
    /// Bytes of a list of tags, per page.
    pub tag_page_bytes: u64,
    /// Bytes of an archive as it is sent. Charts have some 100 kB; those that bring their definitions along some MB.
    pub archive_bytes: u64,
    /// Bytes of all files of an archive: they are kept in memory, and go to the renderer in one piece.
    pub unpacked_bytes: u64,
    /// Entries of an archive, directories and links included.
    pub entries: usize,
    /// How many times larger than the archive its files may be, once they exceed [`Limits::ratio_from_bytes`]. Definitions, which
    /// repeat themselves most, pack to a thirtieth; a bomb to a thousandth.
    pub ratio: u64,
    /// Below so many unpacked bytes no ratio is looked at: a file of blanks is no bomb.
    pub ratio_from_bytes: u64,
    /// Bytes of a path in an archive: what file systems accept is 4096, what people write is a tenth of this.
    pub path_bytes: usize,
    /// How long a listing (index, tags, manifest) may take in all.
    pub listing_deadline: Duration,
    /// How long the download of an archive may take in all.
    pub download_deadline: Duration,
    /// How long a server may say nothing before the connection counts as dead.
    pub idle: Duration,
    /// Bytes of archives that are kept on disk.
    pub disk_bytes: u64,
    /// Bytes of unpacked archives that are kept in memory.
    pub memory_bytes: u64,
    /// Indexes that are kept in memory, each of some MB at most.
    pub indexes: usize,
    /// Bytes of all indexes that are kept in memory, as they were sent: what is kept is a part of that.
    pub indexes_bytes: u64,
    /// Lists of tags, and manifests, that are kept in memory, each: they have some kB.
    pub listings: usize,
    /// Unpacked archives that are kept in memory, and failures to have some: each has a key of some hundred bytes.
    pub archives: usize,
    /// Indexes that are read at a time: each is in memory as it was sent. Servers that say nothing hold one for as long as
    /// [`Limits::idle`].
    pub index_reads: usize,
    /// Downloads at a time: each holds an archive in memory, and servers that say nothing as with indexes.
    pub downloads: usize,
}

const MIB: u64 = 1024 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            index_bytes: 64 * MIB,
            index_versions: 200_000,
            manifest_bytes: 4 * MIB,
            tags_per_page: 1000,
            tags: 50_000,
            tag_pages: 500,
            tag_page_bytes: 4 * MIB,
            archive_bytes: 32 * MIB,
            unpacked_bytes: 64 * MIB,
            entries: 20_000,
            ratio: 200,
            ratio_from_bytes: 4 * MIB,
            path_bytes: 1024,
            // An index of 25 MB over a slow line.
            listing_deadline: Duration::from_mins(1),
            // As Argo CD's ARGOCD_EXEC_TIMEOUT.
            download_deadline: Duration::from_secs(90),
            idle: Duration::from_secs(30),
            disk_bytes: 1024 * MIB,
            memory_bytes: 128 * MIB,
            indexes: 64,
            indexes_bytes: 256 * MIB,
            listings: 2048,
            archives: 4096,
            index_reads: 16,
            downloads: 16,
        }
    }
}
