// SPDX-License-Identifier: GPL-2.0

//! Numbers in range are types.

use proptest::prelude::*;
use vfio_ap_model::model::*;

use super::common::*;

#[test]
fn limits_without_apxa_are_six_and_four_bits() {
    let limits = Limits::WITHOUT_APXA;

    assert_eq!(limits.apid(63).unwrap().get(), 63);
    assert_eq!(limits.apid(64), Err(OutOfRange));
    assert_eq!(limits.apqi(15).unwrap().get(), 15);
    assert_eq!(limits.apqi(16), Err(OutOfRange));
    assert_eq!(limits.control_domain(15).unwrap().get(), 15);
    assert_eq!(limits.control_domain(16), Err(OutOfRange));
    assert_eq!(limits.apqn(0x3f0f).unwrap().to_raw(), 0x3f0f);
    assert_eq!(limits.apqn(0x400f), Err(OutOfRange));
    assert_eq!(limits.apqn(0x3f10), Err(OutOfRange));
}

#[test]
fn names_are_those_of_the_queue_devices() {
    assert_eq!(apqn(0x04, 0x47).to_string(), "04.0047");
    assert_eq!(apqn(0xff, 0xff).to_string(), "ff.00ff");
    assert_eq!(ALL.apid(0).unwrap().to_string(), "00");
    assert_eq!(ALL.apqi(10).unwrap().to_string(), "000a");
    assert_eq!(ALL.control_domain(0xab).unwrap().to_string(), "00ab");
}

#[test]
fn adapter_is_in_the_upper_byte_of_an_apqn() {
    let apqn = ALL.apqn(0x0447).unwrap();

    assert_eq!((apqn.apid.get(), apqn.apqi.get()), (0x04, 0x47));
    assert_eq!(apqn.to_raw(), 0x0447);
}

proptest! {
    #[test]
    fn a_number_is_taken_exactly_up_to_the_maximum(
        na: u8,
        nd: u8,
        number in prop_oneof![0u64..300, any::<u64>(), (0u64..256).prop_map(|low| low | 1 << 32)],
    ) {
        let limits = Limits::with_apxa(na, nd);

        prop_assert_eq!(limits.max_apid(), na);
        prop_assert_eq!(limits.max_domain(), nd);
        prop_assert_eq!(
            limits.apid(number).map(|apid| u64::from(apid.get())).ok(),
            Some(number).filter(|&number| number <= u64::from(na))
        );
        prop_assert_eq!(
            limits.apqi(number).map(|apqi| u64::from(apqi.get())).ok(),
            Some(number).filter(|&number| number <= u64::from(nd))
        );
        prop_assert_eq!(
            limits.control_domain(number).map(|domain| u64::from(domain.get())).ok(),
            Some(number).filter(|&number| number <= u64::from(nd))
        );
    }

    #[test]
    fn an_apqn_is_taken_exactly_if_both_its_numbers_are(na: u8, nd: u8, raw: u16) {
        let limits = Limits::with_apxa(na, nd);
        let fits = raw / 256 <= u16::from(na) && raw % 256 <= u16::from(nd);

        prop_assert_eq!(limits.apqn(raw).map(Apqn::to_raw).ok(), fits.then_some(raw));
    }

    #[test]
    fn apqns_are_ordered_by_adapter_then_domain(a: u16, b: u16) {
        prop_assert_eq!(ALL.apqn(a).unwrap().cmp(&ALL.apqn(b).unwrap()), a.cmp(&b));
    }
}
