//! How many objects to ask for at once when listing: pages are cut by bytes, because a page is held in memory whole.
//! Entry point: [`PageSize::limit`].

/// What a page should weigh. An object of one MiB makes a page of its own.
const PAGE_BYTES: usize = 1 << 20;
/// The first page, when the size of the objects is not known: at most 75 MB of the largest objects that etcd takes.
const FIRST: usize = 50;
/// The smallest page: the last one may have held unusual objects.
const LIMIT_MIN: usize = 5;
/// The largest page: what the API server's own clients ask for.
const LIMIT_MAX: usize = 500;

/// How many objects to ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageSize(usize);

impl Default for PageSize {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl PageSize {
    pub(crate) fn limit(self) -> usize {
        self.0
    }

    /// Learns from a page.
    pub(crate) fn learn(&mut self, bytes: usize, objects: usize) {
        if let Some(each) = bytes.checked_div(objects) {
            self.0 = (PAGE_BYTES / each.max(1)).clamp(LIMIT_MIN, LIMIT_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_size_of_the_objects() {
        let mut page = PageSize::default();
        assert_eq!(page.limit(), 50);
        for (bytes, objects, limit) in [(50 * 100_000, 50, 10), (10 * 1_000, 10, 500), (0, 0, 500), (3 << 20, 1, 5)] {
            page.learn(bytes, objects);
            assert_eq!(page.limit(), limit, "{bytes} bytes of {objects}");
        }
    }
}
