// SPDX-License-Identifier: GPL-2.0

//! What may be passed to a guest.

use proptest::{
    collection::btree_set,
    prelude::*, //
};
use vfio_ap_model::model::*;

use super::common::*;

fn passable(queues: &Pairs) -> PassableTable<Box<AdapterRows>> {
    let mut table = PassableTable::new(rows());
    for &(apid, apqi) in queues {
        assert!(table.record(apqn(apid, apqi), reset_outcome(0)));
    }
    table
}

#[test]
fn an_adapter_is_passed_with_all_its_queues_or_not_at_all() {
    // Queue 05.0002 is missing.
    let table = passable(&[(4, 1), (4, 2), (5, 1)].into());
    let assigned = matrix(&[4, 5].into(), &[1, 2].into(), &[2, 3].into());
    let host = host(&[4, 5, 6].into(), &[1, 2].into(), &[1, 2].into());
    let guest = GuestMatrix::filter(&assigned, &host, &table);

    assert_eq!(guest.apm(), mask(&[4].into()));
    assert_eq!(guest.aqm(), mask(&[1, 2].into()));
    assert_eq!(guest.adm(), mask(&[2].into()));
    assert!(guest.contains(apqn(4, 2)));
    assert!(!guest.contains(apqn(5, 1)));
}

#[test]
fn a_domain_that_the_host_lacks_costs_no_adapter() {
    let table = passable(&[(4, 1)].into());
    let assigned = matrix(&[4].into(), &[1, 2].into(), &[].into());
    let host = host(&[4].into(), &[1].into(), &[].into());
    let guest = GuestMatrix::filter(&assigned, &host, &table);

    assert_eq!(pairs(&guest.apqns()), [(4, 1)].into());
}

#[test]
fn adapters_without_domains_are_kept() {
    let assigned = matrix(&[4, 5].into(), &[].into(), &[].into());
    let host = host(&[4].into(), &[1].into(), &[].into());
    let guest = GuestMatrix::filter(&assigned, &host, &passable(&Pairs::new()));

    assert_eq!(guest.apm(), mask(&[4].into()));
    assert!(guest.apqns().is_empty());
}

#[test]
fn nothing_is_passed_without_qci() {
    let all: Bits = (0..16).collect();
    let table = passable(&product(&all, &all));
    let assigned = matrix(&all, &all, &all);

    assert_eq!(
        GuestMatrix::filter(&assigned, &HostConfig::WITHOUT_QCI, &table),
        GuestMatrix::EMPTY
    );
    assert_eq!(
        HostConfig::from_qci(0, 0, 0, [0; 8], [0; 8], [0; 8]),
        HostConfig::WITHOUT_QCI
    );
    assert_eq!(HostConfig::WITHOUT_QCI.limits(), &Limits::WITHOUT_APXA);
}

#[test]
fn the_maxima_of_qci_count_only_with_apxa() {
    let with = HostConfig::from_qci(0x4000_0000, 17, 85, [0; 8], [0; 8], [0; 8]);
    let without = HostConfig::from_qci(0xbfff_ffff, 17, 85, [0; 8], [0; 8], [0; 8]);

    assert!(with.apxa());
    assert_eq!(with.limits(), &Limits::with_apxa(17, 85));
    assert!(!without.apxa());
    assert_eq!(without.limits(), &Limits::WITHOUT_APXA);
}

#[test]
fn the_masks_of_qci_are_not_mixed_up() {
    let host = HostConfig::from_qci(
        0,
        0,
        0,
        [1 << 31, 0, 0, 0, 0, 0, 0, 0],
        [0, 1 << 31, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 1],
    );

    assert_eq!(host.apm(), mask(&[0].into()));
    assert_eq!(host.aqm(), mask(&[32].into()));
    assert_eq!(host.adm(), mask(&[255].into()));
}

#[test]
fn a_queue_is_passable_from_a_clean_reset_until_the_next_or_its_removal() {
    let queue = apqn(4, 0x47);
    let mut table = PassableTable::new(rows());

    assert!(!table.contains(queue));
    // Deconfigured and checkstopped queues are passed as they are.
    for code in [0x00, 0x03, 0x04] {
        assert!(table.record(queue, reset_outcome(code)));
        assert!(table.contains(queue));
        assert!(!table.record(queue, reset_outcome(code)));
        assert!(table.forget(queue));
        assert!(!table.contains(queue));
        assert!(!table.forget(queue));
    }
    for code in [0x01, 0x06, 0x42, 0x77] {
        assert!(table.record(queue, reset_outcome(0)));
        assert!(table.record(queue, reset_outcome(code)), "{code:02x}");
        assert!(!table.contains(queue), "{code:02x}");
    }
}

fn bound(queues: &Pairs) -> ApqnTable<Box<AdapterRows>> {
    let mut table = ApqnTable::new(rows());
    for &(apid, apqi) in queues {
        assert!(table.insert(apqn(apid, apqi)));
    }
    table
}

#[test]
fn a_guest_at_work_waits_for_a_domain_whose_queue_is_being_reset() {
    let all: Bits = (0..16).collect();
    let host = host(&all, &all, &all);
    let before = matrix(&[4, 5].into(), &[1].into(), &[].into());
    let after = matrix(&[4, 5].into(), &[1, 2].into(), &[].into());
    let queues: Pairs = [(4, 1), (4, 2), (5, 1), (5, 2)].into();
    let mut table = passable(&[(4, 1), (4, 2), (5, 1)].into());
    let guest = GuestMatrix::filter(&before, &host, &table);

    // Domain 2 is withheld, and nothing is taken.
    let waits = guest.filter_at_work(&after, &host, &table, &bound(&queues));
    assert_eq!(pairs(&waits.apqns()), [(4, 1), (5, 1)].into());
    assert!(guest.apqns_not_in(&waits).is_empty());

    // It comes with the end of the reset.
    table.record(apqn(5, 2), reset_outcome(0));
    let has = waits.refilter(&after, &host, &table, &bound(&queues), apqn(5, 2).apid);
    assert_eq!(pairs(&has.apqns()), queues);
}

#[test]
fn an_adapter_that_is_lost_anyway_withholds_no_domain() {
    let all: Bits = (0..16).collect();
    let before = matrix(&[4, 5].into(), &[1].into(), &[].into());
    let after = matrix(&[4, 5].into(), &[1, 2, 3].into(), &[].into());
    let host = host(&all, &all, &all);
    let guest = GuestMatrix::filter(&before, &host, &passable(&[(4, 1), (5, 1)].into()));
    // Queue 05.0002 is being reset, but there is no queue 05.0003.
    let table = passable(&[(4, 1), (4, 2), (4, 3), (5, 1)].into());
    let queues = bound(&[(4, 1), (4, 2), (4, 3), (5, 1), (5, 2)].into());
    let has = guest.filter_at_work(&after, &host, &table, &queues);

    assert_eq!(pairs(&has.apqns()), [(4, 1), (4, 2), (4, 3)].into());
}

proptest! {
    #[test]
    fn a_guest_at_work_loses_nothing_because_something_is_added(
        (apids, apqis) in (near_bits(), near_bits()),
        (more_apids, more_apqis) in (near_bits(), near_bits()),
        (new, unbound) in (
            btree_set((60u8..68, 60u8..68), 0..12),
            btree_set((60u8..68, 60u8..68), 0..3),
        ),
    ) {
        let all: Bits = (60..68).collect();
        let host = host(&all, &all, &all);
        let queues = &product(&all, &all) - &unbound;
        // What the guest had was passable.
        let table = passable(&(&queues - &(&new - &product(&apids, &apqis))));
        let guest = GuestMatrix::filter(&matrix(&apids, &apqis, &all), &host, &table);
        let more = matrix(&(&apids | &more_apids), &(&apqis | &more_apqis), &all);
        let has = guest.filter_at_work(&more, &host, &table, &bound(&queues));
        let plain = GuestMatrix::filter(&more, &host, &table);

        // All is passable.
        for queue in pairs(&has.apqns()) {
            prop_assert!(table.contains(apqn(queue.0, queue.1)));
        }
        // An adapter goes only because of a queue that is not bound.
        for apid in &apids {
            let had = guest.apm().test(*apid);
            let is_bound = (&apqis | &more_apqis)
                .iter()
                .all(|apqi| queues.contains(&(*apid, *apqi)));

            prop_assert!(!had || !is_bound || has.apm().test(*apid));
        }
        // Where nothing is withheld it is the plain rule, and a guest without anything has that.
        if has.aqm() == plain.aqm() {
            prop_assert_eq!(has, plain);
        }
        prop_assert_eq!(
            GuestMatrix::EMPTY.filter_at_work(&more, &host, &table, &bound(&queues)),
            plain
        );
        // Nothing new comes of asking again.
        prop_assert_eq!(has.filter_at_work(&more, &host, &table, &bound(&queues)), has);
    }

    #[test]
    fn filter_follows_the_rule(
        (apids, apqis, domains) in (near_bits(), near_bits(), near_bits()),
        (host_apids, host_apqis, host_domains) in (near_bits(), near_bits(), near_bits()),
        missing in btree_set((60u8..68, 60u8..68), 0..6),
    ) {
        let all: Bits = (60..68).collect();
        let queues = &product(&all, &all) - &missing;
        let guest = GuestMatrix::filter(
            &matrix(&apids, &apqis, &domains),
            &host(&host_apids, &host_apqis, &host_domains),
            &passable(&queues),
        );

        let expected_apqis = &apqis & &host_apqis;
        let expected_apids: Bits = (&apids & &host_apids)
            .into_iter()
            .filter(|&apid| expected_apqis.iter().all(|&apqi| queues.contains(&(apid, apqi))))
            .collect();
        prop_assert_eq!(guest.apm(), mask(&expected_apids));
        prop_assert_eq!(guest.aqm(), mask(&expected_apqis));
        prop_assert_eq!(guest.adm(), mask(&(&domains & &host_domains)));
        for (apid, apqi) in product(&all, &all) {
            prop_assert_eq!(
                guest.contains(apqn(apid, apqi)),
                product(&expected_apids, &expected_apqis).contains(&(apid, apqi))
            );
        }
    }

    #[test]
    fn no_guest_has_a_queue_that_is_not_passable(
        (apids, apqis) in (bits(), bits()),
        queues in btree_set(any::<(u8, u8)>(), 0..40),
    ) {
        let all: Bits = (0..=255).collect();
        let table = passable(&queues);
        let guest =
            GuestMatrix::filter(&matrix(&apids, &apqis, &all), &host(&all, &all, &all), &table);

        prop_assert!(guest.apqns().iter().all(|apqn| queues.contains(&pair(apqn))));
        prop_assert!(pairs(&guest.apqns()).is_subset(&product(&apids, &apqis)));
    }

    #[test]
    fn to_filter_one_adapter_is_enough_if_only_its_queues_change(
        (apids, apqis, domains) in (near_bits(), near_bits(), near_bits()),
        (host_apids, host_apqis) in (near_bits(), near_bits()),
        missing in btree_set((60u8..68, 60u8..68), 0..6),
        changes in prop::collection::vec((any::<bool>(), 60u8..68, 60u8..68), 1..30),
    ) {
        let all: Bits = (60..68).collect();
        let mut table = passable(&(&product(&all, &all) - &missing));
        let assigned = matrix(&apids, &apqis, &domains);
        let host = host(&host_apids, &host_apqis, &all);
        let queues = bound(&product(&all, &all));
        let mut guest = GuestMatrix::filter(&assigned, &host, &table);
        let mut at_work = GuestMatrix::EMPTY.filter_at_work(&assigned, &host, &table, &queues);

        for (add, apid, apqi) in changes {
            let queue = apqn(apid, apqi);
            if add {
                table.record(queue, reset_outcome(0));
            } else {
                table.forget(queue);
            }
            guest = guest.refilter(&assigned, &host, &table, &queues, queue.apid);
            prop_assert_eq!(guest, GuestMatrix::filter(&assigned, &host, &table));

            let wanted = at_work.filter_at_work(&assigned, &host, &table, &queues);
            at_work = at_work.refilter(&assigned, &host, &table, &queues, queue.apid);
            prop_assert_eq!(at_work, wanted);
        }
    }

    #[test]
    fn a_change_withdraws_and_adds_exactly_the_difference(
        assigned in (near_bits(), near_bits()),
        hosts in prop::array::uniform2((near_bits(), near_bits())),
        missing in prop::array::uniform2(btree_set((60u8..68, 60u8..68), 0..4)),
    ) {
        let all: Bits = (60..68).collect();
        let assigned = matrix(&assigned.0, &assigned.1, &all);
        let [before, after] = [0, 1].map(|index| {
            GuestMatrix::filter(
                &assigned,
                &host(&hosts[index].0, &hosts[index].1, &all),
                &passable(&(&product(&all, &all) - &missing[index])),
            )
        });
        let had: Pairs = product(&all, &all)
            .into_iter()
            .filter(|&(apid, apqi)| before.contains(apqn(apid, apqi)))
            .collect();
        let has: Pairs = product(&all, &all)
            .into_iter()
            .filter(|&(apid, apqi)| after.contains(apqn(apid, apqi)))
            .collect();

        prop_assert_eq!(pairs(&before.apqns()), had.clone());
        prop_assert_eq!(pairs(&before.apqns_not_in(&after)), &had - &has);
        prop_assert_eq!(pairs(&after.apqns_not_in(&before)), &has - &had);
    }
}
