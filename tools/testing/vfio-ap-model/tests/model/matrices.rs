// SPDX-License-Identifier: GPL-2.0

//! The assigned matrix, the sets of APQNs that come of it, and who owns them.

use proptest::{
    collection::vec,
    prelude::*, //
};
use vfio_ap_model::model::*;

use super::common::*;

/// One write to an assign or unassign attribute.
#[derive(Clone, Copy, Debug)]
enum Change {
    Adapter(bool, u8),
    Domain(bool, u8),
    ControlDomain(bool, u8),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let number = 60u8..68;
    vec(
        prop_oneof![
            (any::<bool>(), number.clone()).prop_map(|(add, number)| Change::Adapter(add, number)),
            (any::<bool>(), number.clone()).prop_map(|(add, number)| Change::Domain(add, number)),
            (any::<bool>(), number).prop_map(|(add, number)| Change::ControlDomain(add, number)),
        ],
        0..40,
    )
}

fn everything() -> ApqnSet {
    ApqnSet::product(Mask256::up_to(255), Mask256::up_to(255))
}

fn apply(matrix: &mut Matrix, change: Change) -> bool {
    match change {
        Change::Adapter(true, number) => matrix.assign_adapter(ALL.apid(number.into()).unwrap()),
        Change::Adapter(false, number) => matrix.unassign_adapter(ALL.apid(number.into()).unwrap()),
        Change::Domain(true, number) => matrix.assign_domain(ALL.apqi(number.into()).unwrap()),
        Change::Domain(false, number) => matrix.unassign_domain(ALL.apqi(number.into()).unwrap()),
        Change::ControlDomain(true, number) => {
            matrix.assign_control_domain(ALL.control_domain(number.into()).unwrap())
        }
        Change::ControlDomain(false, number) => {
            matrix.unassign_control_domain(ALL.control_domain(number.into()).unwrap())
        }
    }
}

#[test]
fn assigning_an_adapter_adds_its_queues_and_no_others() {
    let before = matrix(&[4, 5].into(), &[1, 2].into(), &[].into());
    let mut after = before;

    assert!(after.assign_adapter(ALL.apid(6).unwrap()));
    assert_eq!(pairs(&after.apqns_not_in(&before)), [(6, 1), (6, 2)].into());
    assert!(before.apqns_not_in(&after).is_empty());
}

#[test]
fn a_matrix_has_no_bit_beyond_the_limits() {
    let limits = Limits::with_apxa(10, 20);
    let none = Mask256::EMPTY;

    for (apm, aqm, adm, fits) in [
        (10, 20, 20, true),
        (11, 20, 20, false),
        (10, 21, 20, false),
        (10, 20, 21, false),
    ] {
        let [apm, aqm, adm] = [apm, aqm, adm].map(|bit| mask(&[bit].into()));
        assert_eq!(
            Matrix::from_masks(apm, aqm, adm, &limits).is_ok(),
            fits,
            "{apm} {aqm} {adm}"
        );
    }
    assert_eq!(
        Matrix::from_masks(none, none, none, &limits),
        Ok(Matrix::EMPTY)
    );
}

proptest! {
    #[test]
    fn assigning_and_unassigning_are_those_of_sets(changes in changes()) {
        let (mut apids, mut apqis, mut domains) = (Bits::new(), Bits::new(), Bits::new());
        let mut assigned = Matrix::EMPTY;

        for change in changes {
            let changed = match change {
                Change::Adapter(true, number) => apids.insert(number),
                Change::Adapter(false, number) => apids.remove(&number),
                Change::Domain(true, number) => apqis.insert(number),
                Change::Domain(false, number) => apqis.remove(&number),
                Change::ControlDomain(true, number) => domains.insert(number),
                Change::ControlDomain(false, number) => domains.remove(&number),
            };
            prop_assert_eq!(apply(&mut assigned, change), changed);
            prop_assert_eq!(assigned, matrix(&apids, &apqis, &domains));
            prop_assert_eq!(assigned.apm(), mask(&apids));
            prop_assert_eq!(assigned.aqm(), mask(&apqis));
            prop_assert_eq!(assigned.adm(), mask(&domains));
        }
    }

    #[test]
    fn apqns_are_the_cross_product(apids in bits(), apqis in bits(), apid: u8, apqi: u8) {
        let apqns = matrix(&apids, &apqis, &Bits::new()).apqns();
        let expected = product(&apids, &apqis);

        prop_assert!(apqns.iter().map(pair).eq(expected.iter().copied()));
        prop_assert_eq!(apqns.count() as usize, expected.len());
        prop_assert_eq!(apqns.is_empty(), expected.is_empty());
        prop_assert_eq!(
            apqns.contains(apqn(apid, apqi)),
            expected.contains(&(apid, apqi))
        );
    }

    #[test]
    fn apqns_added_are_the_new_ones_only(
        (apids, apqis) in (near_bits(), near_bits()),
        (old_apids, old_apqis) in (near_bits(), near_bits()),
        (apid, apqi) in (60u8..68, 60u8..68),
    ) {
        let none = Bits::new();
        let added =
            matrix(&apids, &apqis, &none).apqns_not_in(&matrix(&old_apids, &old_apqis, &none));
        let expected = &product(&apids, &apqis) - &product(&old_apids, &old_apqis);

        prop_assert!(added.iter().map(pair).eq(expected.iter().copied()));
        prop_assert_eq!(added.count() as usize, expected.len());
        prop_assert_eq!(added.is_empty(), expected.is_empty());
        prop_assert_eq!(
            added.contains(apqn(apid, apqi)),
            expected.contains(&(apid, apqi))
        );
        let [first, second] = added.products().map(|(apm, aqm)| {
            product(&apm.iter().collect(), &aqm.iter().collect())
        });
        prop_assert!(first.is_disjoint(&second));
        prop_assert_eq!(&first | &second, expected.clone());
        for (apid, domains) in added.rows() {
            let row: Bits = domains.iter().collect();
            prop_assert!(!row.is_empty());
            prop_assert!(row.iter().all(|&apqi| expected.contains(&(apid.get(), apqi))));
        }
    }

    #[test]
    fn an_apqn_has_one_owner_whatever_is_tried(
        steps in vec((0usize..3, near_bits(), near_bits()), 1..30),
    ) {
        // Three devices that change to any matrix, all at once or not at all.
        let none = Bits::new();
        let mut owned = OwnershipTable::new(rows(), owner_rows());
        let mut devices = [Matrix::EMPTY; 3];

        for (device, apids, apqis) in steps {
            let old = devices[device];
            let new = matrix(&apids, &apqis, &none);
            let others: Pairs = (0..3)
                .filter(|&other| other != device)
                .flat_map(|other| pairs(&devices[other].apqns()))
                .collect();
            let conflict = product(&apids, &apqis).intersection(&others).next().copied();

            let owner_of = |devices: &[Matrix; 3], (apid, apqi)| {
                (0..3u16)
                    .zip(devices)
                    .find(|(_, device)| device.apqns().contains(apqn(apid, apqi)))
                    .map(|(number, _)| OwnerId(1000 + number))
            };
            let claim = owned.try_claim(&new.apqns_not_in(&old), OwnerId(1000 + device as u16));
            prop_assert_eq!(claim.err().map(|conflict| pair(conflict.apqn)), conflict);
            prop_assert_eq!(
                claim.err().map(|conflict| conflict.owner),
                conflict.and_then(|conflict| owner_of(&devices, conflict))
            );
            if claim.is_ok() {
                owned.release(&old.apqns_not_in(&new));
                devices[device] = new;
            }

            let all: Pairs = devices.iter().flat_map(|device| pairs(&device.apqns())).collect();
            for (apid, apqi) in product(&(59..70).collect(), &(59..70).collect()) {
                prop_assert_eq!(
                    owned.owner(apqn(apid, apqi)),
                    owner_of(&devices, (apid, apqi))
                );
            }
            prop_assert_eq!(
                owned.first_owned(&everything()),
                all.first().map(|&first| {
                    (apqn(first.0, first.1), owner_of(&devices, first).unwrap())
                })
            );
            prop_assert_eq!(
                owned.first_owned(&new.apqns()).map(|(apqn, _)| pair(apqn)),
                product(&apids, &apqis).intersection(&all).next().copied()
            );
        }
    }

    #[test]
    fn a_table_is_a_set_of_apqns(
        steps in vec((any::<bool>(), any::<u16>()), 0..60),
        (apids, apqis) in (bits(), bits()),
    ) {
        let mut rows = *rows();
        let mut table = ApqnTable::new(&mut rows);
        let mut reference = Pairs::new();

        for (add, raw) in steps {
            let apqn = ALL.apqn(raw).unwrap();
            if add {
                prop_assert_eq!(table.insert(apqn), reference.insert(pair(apqn)));
            } else {
                prop_assert_eq!(table.remove(apqn), reference.remove(&pair(apqn)));
            }
        }
        let set = ApqnSet::product(mask(&apids), mask(&apqis));
        let within = &reference & &product(&apids, &apqis);

        prop_assert!(table.iter_in(&set).map(pair).eq(within));
        prop_assert_eq!(table.count() as usize, reference.len());
        for &(apid, apqi) in &reference {
            prop_assert!(table.contains(apqn(apid, apqi)));
            prop_assert!(table.row(ALL.apid(apid.into()).unwrap()).test(apqi));
        }

        table.insert_all(&set);
        reference = &reference | &product(&apids, &apqis);
        prop_assert!(table.iter_in(&everything()).map(pair).eq(reference.iter().copied()));

        table.remove_all(&set);
        reference = &reference - &product(&apids, &apqis);
        prop_assert!(table.iter_in(&everything()).map(pair).eq(reference.iter().copied()));
    }
}
