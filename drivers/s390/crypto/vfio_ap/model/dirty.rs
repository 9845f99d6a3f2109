// SPDX-License-Identifier: GPL-2.0

//! The pages that hardware may have written: a monitor that copies a running guest asks for them.

use core::ops::RangeInclusive;

/// A set of pages of a fixed size. It has every page that was added, and may have others.
///
/// A Linux guest has its notification indicator bytes in one page, so a few pages are enough to be
/// exact. All further pages become one range that covers them.
#[derive(Clone, Debug)]
pub struct DirtyPages {
    pages: [u64; DirtyPages::EXACT],
    used: usize,
    /// A range that covers the pages for which there was no place.
    others: Option<(u64, u64)>,
}

impl Default for DirtyPages {
    fn default() -> DirtyPages {
        DirtyPages::new()
    }
}

impl DirtyPages {
    /// The number of pages that the set has exactly.
    pub const EXACT: usize = 16;

    /// An empty one.
    pub const fn new() -> DirtyPages {
        DirtyPages {
            pages: [0; DirtyPages::EXACT],
            used: 0,
            others: None,
        }
    }

    /// Adds a page, by its address.
    pub fn add(&mut self, page: u64) {
        let used = self.pages.get(..self.used).unwrap_or_default();

        if used.contains(&page) {
            return;
        }
        if let Some(free) = self.pages.get_mut(self.used) {
            *free = page;
            self.used += 1;
            return;
        }
        self.others = Some(match self.others {
            Some((first, last)) => (first.min(page), last.max(page)),
            None => (page, page),
        });
    }

    /// Takes the pages in a range of addresses out of the set, and calls `f` with the first and the
    /// last page of each part.
    pub fn take(&mut self, range: RangeInclusive<u64>, f: &mut dyn FnMut(u64, u64)) {
        let mut at = 0;

        while let Some(&page) = self.pages.get(..self.used).and_then(|used| used.get(at)) {
            if !range.contains(&page) {
                at += 1;
                continue;
            }
            f(page, page);
            self.used -= 1;
            let last = self.pages.get(self.used).copied();

            if let (Some(last), Some(place)) = (last, self.pages.get_mut(at)) {
                *place = last;
            }
        }

        let (begin, end) = (*range.start(), *range.end());
        let Some((first, last)) = self.others else {
            return;
        };
        if begin > end || begin > last || end < first {
            return;
        }
        f(first.max(begin), last.min(end));
        // A range from the middle would leave two: then the set keeps all of it.
        self.others = match (begin <= first, last <= end) {
            (true, true) => None,
            (true, false) => end.checked_add(1).map(|next| (next, last)),
            (false, true) => begin.checked_sub(1).map(|before| (first, before)),
            (false, false) => Some((first, last)),
        };
    }
}
