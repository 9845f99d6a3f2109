// SPDX-License-Identifier: GPL-2.0

//! The log of written pages: it loses none, and it is exact for a few.

use proptest::{
    collection::vec,
    prelude::*, //
};
use std::collections::BTreeSet;
use vfio_ap_model::model::*;

/// Returns the ranges that a monitor gets which asks for this one.
fn taken(dirty: &mut DirtyPages, first: u64, last: u64) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();

    dirty.take(first..=last, &mut |first, last| ranges.push((first, last)));
    ranges
}

fn covers(ranges: &[(u64, u64)], page: u64) -> bool {
    ranges
        .iter()
        .any(|&(first, last)| (first..=last).contains(&page))
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Add(u64),
    Take(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    // Few enough to meet, with both ends of the address space among them.
    let page = prop_oneof![0..64u64, Just(u64::MAX - 1), Just(u64::MAX)];

    prop_oneof![
        3 => page.clone().prop_map(Step::Add),
        1 => (page.clone(), page).prop_map(|(a, b)| Step::Take(a.min(b), a.max(b))),
    ]
}

proptest! {
    /// A report of a range has each page of it that was added before, and none outside.
    #[test]
    fn nothing_is_missing(steps in vec(step(), 0..200)) {
        let mut dirty = DirtyPages::new();
        let mut pages = BTreeSet::new();

        for step in steps {
            match step {
                Step::Add(page) => {
                    dirty.add(page);
                    pages.insert(page);
                }
                Step::Take(first, last) => {
                    let ranges = taken(&mut dirty, first, last);

                    for &(from, to) in &ranges {
                        prop_assert!(first <= from && from <= to && to <= last);
                    }
                    for &page in pages.range(first..=last) {
                        prop_assert!(covers(&ranges, page));
                    }
                    pages.retain(|page| !(first..=last).contains(page));
                }
            }
        }
        taken(&mut dirty, 0, u64::MAX);
        prop_assert_eq!(taken(&mut dirty, 0, u64::MAX), vec![]);
    }

    /// As long as they have a place, they are exactly what was added.
    #[test]
    fn few_are_exact(pages in vec(0..1000u64, 0..=DirtyPages::EXACT), first in 0..1000u64, last in 0..1000u64) {
        let mut dirty = DirtyPages::new();
        let pages: BTreeSet<u64> = pages.into_iter().collect();

        for &page in &pages {
            dirty.add(page);
            dirty.add(page);
        }
        let mut asked: Vec<_> = taken(&mut dirty, first, last);
        asked.sort_unstable();
        let expected: Vec<_> = pages
            .iter()
            .filter(|page| (first..=last).contains(page))
            .map(|&page| (page, page))
            .collect();

        prop_assert_eq!(asked, expected);
    }
}

/// Further pages become one range. A monitor that asks for all parts in order empties it.
#[test]
fn many_are_a_range_that_ends() {
    let mut dirty = DirtyPages::new();

    for page in 0..DirtyPages::EXACT as u64 {
        dirty.add(page);
    }
    for page in [500, 900, 700] {
        dirty.add(page);
    }
    assert_eq!(taken(&mut dirty, 100, 499), []);
    assert_eq!(taken(&mut dirty, 100, 599), [(500, 599)]);
    assert_eq!(taken(&mut dirty, 100, 599), []);
    assert_eq!(taken(&mut dirty, 800, 1000), [(800, 900)]);
    assert_eq!(taken(&mut dirty, 800, 1000), []);
    // In the middle: the whole of it stays.
    assert_eq!(taken(&mut dirty, 650, 660), [(650, 660)]);
    assert_eq!(taken(&mut dirty, 600, 799), [(600, 799)]);
    assert_eq!(taken(&mut dirty, 100, u64::MAX), []);
}
