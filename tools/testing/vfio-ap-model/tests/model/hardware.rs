// SPDX-License-Identifier: GPL-2.0

//! What status words, response codes and the registers of PQAP mean.

use proptest::{
    collection::vec,
    prelude::*, //
};
use vfio_ap_model::model::*;

use super::common::*;

const GONE: [u8; 3] = [0x01, 0x03, 0x04];
const TRANSIENT: [u8; 3] = [0x02, 0x05, 0x0a];

const IRQ_ENABLED: u32 = 0x0100_0000;

const QUIESCED: Next<DisableVerdict> = Next::Done(DisableVerdict::Quiesced);

#[test]
fn response_codes_are_those_of_the_bus() {
    // AP_RESPONSE_* of drivers/s390/crypto/ap_bus.h.
    let known = [
        (0x00, ResponseCode::Normal),
        (0x01, ResponseCode::QNotAvail),
        (0x02, ResponseCode::ResetInProgress),
        (0x03, ResponseCode::Deconfigured),
        (0x04, ResponseCode::Checkstopped),
        (0x05, ResponseCode::Busy),
        (0x06, ResponseCode::InvalidAddress),
        (0x07, ResponseCode::OtherwiseChanged),
        (0x08, ResponseCode::InvalidGisa),
        (0x09, ResponseCode::QBoundToAnother),
        (0x0a, ResponseCode::StateChangeInProgress),
        (0x0b, ResponseCode::QNotBound),
        (0x10, ResponseCode::QFullOrNoReply),
        (0x11, ResponseCode::IndexTooBig),
        (0x13, ResponseCode::NoFirstPart),
        (0x15, ResponseCode::MessageTooBig),
        (0x16, ResponseCode::ReqFacNotInst),
        (0x30, ResponseCode::QBindError),
        (0x31, ResponseCode::QNotAvailForAssoc),
        (0x32, ResponseCode::QNotEmpty),
        (0x33, ResponseCode::BindLimitExceeded),
        (0x34, ResponseCode::InvalidAssocSecret),
        (0x35, ResponseCode::AssocSecretNotUnique),
        (0x36, ResponseCode::AssocFailed),
        (0x42, ResponseCode::InvalidDomain),
    ];

    for code in 0..=255 {
        let expected = known
            .iter()
            .find(|(known, _)| *known == code)
            .map(|(_, response)| *response)
            .ok_or(UnknownResponseCode(code));
        assert_eq!(ResponseCode::try_from(code), expected);
        assert_eq!(status(code).response(), expected);
        assert_eq!(status(code).raw_response(), code);
        if let Ok(response) = expected {
            assert_eq!(StatusWord::with_response(response), status(code));
            assert_eq!(response.is_gone(), GONE.contains(&code));
            assert_eq!(response.is_transient(), TRANSIENT.contains(&code));
        }
    }
}

#[test]
fn status_bits_are_where_the_architecture_has_them() {
    // E, R, F, six bits further I, then the response code.
    let of = |raw| {
        let word = StatusWord::from_raw(raw);
        (
            word.queue_empty(),
            word.replies_waiting(),
            word.queue_full(),
            word.irq_enabled(),
            word.raw_response(),
        )
    };

    assert_eq!(of(0x8000_0000), (true, false, false, false, 0));
    assert_eq!(of(0x4000_0000), (false, true, false, false, 0));
    assert_eq!(of(0x2000_0000), (false, false, true, false, 0));
    assert_eq!(of(0x0100_0000), (false, false, false, true, 0));
    assert_eq!(of(0x1e00_ffff), (false, false, false, false, 0));
    assert_eq!(of(0x0042_0000), (false, false, false, false, 0x42));
    assert_eq!(
        StatusWord::with_response(ResponseCode::InvalidAddress).to_raw(),
        0x0006_0000
    );
}

#[test]
fn enabling_tells_which_notification_byte_hardware_may_use() {
    for code in 0..=255 {
        let expected = match code {
            0x00 => EnableVerdict::Enabled,
            0x07 => EnableVerdict::AlreadyEnabled,
            0x02 | 0x05 | 0x0a => EnableVerdict::Busy,
            0x06 | 0x08 => EnableVerdict::Refused,
            0x01 | 0x03 | 0x04 => EnableVerdict::Gone,
            _ => EnableVerdict::Unexpected,
        };

        assert_eq!(EnableVerdict::of(status(code)), expected, "{code:02x}");
    }
}

#[test]
fn a_disable_is_done_when_it_is_seen_to_be() {
    let mut disable = IrqDisable::new();
    let still_enabled = StatusWord::from_raw(IRQ_ENABLED);

    assert_eq!(disable.requested(status(0x05)), Next::Request);
    assert_eq!(disable.requested(status(0x00)), Next::Poll);
    assert_eq!(disable.polled(still_enabled), Next::Poll);
    assert_eq!(disable.polled(status(0x00)), QUIESCED);
}

#[test]
fn a_disable_that_hardware_did_not_take_proves_nothing() {
    let mut disable = IrqDisable::new();

    // The queue reports interrupts disabled, and an enabling may be under way.
    assert_eq!(disable.polled(status(0x00)), Next::Request);
    assert_eq!(disable.requested(status(0x05)), Next::Request);
    assert_eq!(disable.polled(status(0x00)), Next::Request);
    assert_eq!(disable.requested(status(0x07)), Next::Poll);
    // To ask again, in vain, does not undo that it was taken.
    assert_eq!(disable.requested(status(0x05)), Next::Request);
    assert_eq!(disable.polled(status(0x00)), QUIESCED);
}

#[test]
fn a_reset_that_hardware_did_not_take_is_asked_for_again() {
    let mut reset = Reset::new();

    assert_eq!(reset.requested(status(0x02)), Next::Poll);
    assert_eq!(reset.polled(status(0x02)), Next::Poll);
    assert_eq!(reset.polled(status(0x00)), Next::Request);
    assert_eq!(reset.requested(status(0x00)), Next::Poll);
    assert_eq!(reset.polled(status(0x02)), Next::Poll);
    assert_eq!(
        reset.polled(status(0x00)),
        Next::Done(ResetOutcome::Completed)
    );
}

#[test]
fn an_idle_queue_that_nobody_reset_is_not_taken_for_a_reset_one() {
    assert_eq!(Reset::new().polled(status(0x00)), Next::Request);
}

#[test]
fn a_failed_association_needs_another_reset() {
    for code in [0x35, 0x36] {
        let mut reset = Reset::new();

        assert_eq!(reset.requested(status(0x00)), Next::Poll);
        assert_eq!(reset.polled(status(code)), Next::Request);
        // Not taken this time, so that an idle queue proves nothing.
        assert_eq!(reset.requested(status(0x05)), Next::Poll);
        assert_eq!(reset.polled(status(0x00)), Next::Request);
    }
}

#[test]
fn an_association_that_fails_under_way_forgets_what_was_accepted() {
    let mut reset = Reset::new();

    assert_eq!(reset.requested(status(0x00)), Next::Poll);
    assert_eq!(reset.polled(status(0x36)), Next::Request);
    assert_eq!(reset.polled(status(0x00)), Next::Request);
}

#[test]
fn the_end_of_a_reset_says_what_is_certain() {
    for (code, outcome, is_clean, is_quiesced) in [
        (0x00, ResetOutcome::Completed, true, true),
        (0x01, ResetOutcome::Gone, false, true),
        (0x03, ResetOutcome::Deconfigured, true, true),
        (0x04, ResetOutcome::Checkstopped, true, true),
        (0x06, ResetOutcome::Unexpected(0x06), false, false),
        (0x77, ResetOutcome::Unexpected(0x77), false, false),
    ] {
        assert_eq!(reset_outcome(code), outcome);
        assert_eq!(outcome.raw_response(), code);
        assert_eq!(outcome.is_clean(), is_clean, "{code:02x}");
        assert_eq!(outcome.is_quiesced(), is_quiesced, "{code:02x}");
    }
}

#[test]
fn an_orphan_is_at_rest_when_a_reset_was_seen_to_end() {
    let mut orphan = Orphan::new(None, None);

    // Interrupts may be another's by now, or not yet shown to be enabled.
    assert!(!orphan.polled(status(0x00)));
    assert!(!orphan.polled(StatusWord::from_raw(IRQ_ENABLED)));
    assert!(!orphan.polled(status(0x05)));
    assert!(!orphan.polled(status(0x77)));
    assert!(!orphan.polled(status(0x02)));
    assert!(orphan.polled(status(0x00)));
}

#[test]
fn an_orphan_goes_on_with_what_was_accepted() {
    let mut reset = Reset::new();
    let mut disable = IrqDisable::new();

    assert_eq!(reset.requested(status(0x05)), Next::Poll);
    assert!(!Orphan::new(Some(&reset), None).polled(status(0x00)));
    assert_eq!(reset.requested(status(0x00)), Next::Poll);
    assert!(Orphan::new(Some(&reset), None).polled(StatusWord::from_raw(IRQ_ENABLED)));
    assert!(!Orphan::new(Some(&reset), None).polled(status(0x02)));

    assert!(!Orphan::new(None, Some(&disable)).polled(status(0x00)));
    assert_eq!(disable.requested(status(0x00)), Next::Poll);
    assert!(!Orphan::new(None, Some(&disable)).polled(StatusWord::from_raw(IRQ_ENABLED)));
    assert!(Orphan::new(None, Some(&disable)).polled(status(0x00)));
}

#[test]
fn an_orphan_whose_queue_is_gone_is_at_rest() {
    for code in GONE {
        assert!(Orphan::new(None, None).polled(status(code)), "{code:02x}");
    }
}

/// Any response, those that matter more often.
fn response() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => Just(0x00u8),
        4 => prop::sample::select(vec![0x01, 0x02, 0x03, 0x04, 0x05, 0x07, 0x0a, 0x35, 0x36]),
        1 => any::<u8>(),
    ]
}

proptest! {
    #[test]
    fn nothing_but_a_disable_taken_and_seen_or_a_queue_gone_proves_quiescence(
        answers in vec((response(), any::<bool>()), 1..20),
    ) {
        let mut disable = IrqDisable::new();
        let mut polling = false;

        for (code, irq_enabled) in answers {
            let word = StatusWord::from_raw(
                u32::from(code) << 16 | if irq_enabled { IRQ_ENABLED } else { 0 },
            );
            let step = if polling { disable.polled(word) } else { disable.requested(word) };
            let seen = polling && code == 0 && !irq_enabled;

            prop_assert_eq!(
                step == QUIESCED,
                seen || GONE.contains(&code)
            );
            match step {
                Next::Request => {
                    prop_assert!(!polling && TRANSIENT.contains(&code));
                }
                Next::Poll if polling => {
                    prop_assert!(TRANSIENT.contains(&code) || code == 0 && irq_enabled);
                }
                Next::Poll => prop_assert!(code == 0 || code == 7),
                QUIESCED => break,
                Next::Done(DisableVerdict::Unexpected) => {
                    prop_assert!(!GONE.contains(&code) && !TRANSIENT.contains(&code));
                    prop_assert!(code != 0 && (polling || code != 7));
                    break;
                }
            }
            polling = matches!(step, Next::Poll);
        }
    }

    #[test]
    fn a_reset_completes_only_if_it_was_taken_and_seen_to_end(
        answers in vec(response(), 1..20),
    ) {
        let mut reset = Reset::new();
        let mut polling = false;
        // All that was answered since the last request, the request's own answer first.
        let mut since_request = Vec::new();

        for code in answers {
            if !polling {
                since_request.clear();
            }
            since_request.push(code);
            let step = if polling {
                reset.polled(status(code))
            } else {
                reset.requested(status(code))
            };

            match step {
                Next::Request => {
                    prop_assert!(polling);
                    prop_assert!(
                        [0x35, 0x36].contains(&code) || code == 0 && since_request[0] != 0
                    );
                    polling = false;
                }
                Next::Poll => {
                    prop_assert!(TRANSIENT.contains(&code) || !polling && code == 0);
                    polling = true;
                }
                Next::Done(outcome) => {
                    prop_assert_eq!(outcome == ResetOutcome::Completed, code == 0);
                    prop_assert_eq!(outcome.is_clean(), [0, 3, 4].contains(&code));
                    prop_assert_eq!(outcome.is_quiesced(), [0, 1, 3, 4].contains(&code));
                    if code == 0 {
                        prop_assert!(polling && since_request[0] == 0);
                        prop_assert!(
                            since_request[1..since_request.len() - 1]
                                .iter()
                                .all(|code| TRANSIENT.contains(code))
                        );
                    }
                    break;
                }
            }
        }
    }

    #[test]
    fn the_control_word_has_the_fields_where_ap_h_has_them(
        gisa in (1u64..0x0800_0000).prop_map(|block| block << 4),
        gisc in 0u8..8,
        isc in 0u8..8,
    ) {
        let word = AqicControl::enable_for_guest(
            GisaOrigin::new(gisa).unwrap(),
            Isc::new(gisc).unwrap(),
            Isc::new(isc).unwrap(),
        );
        // union ap_qirq_ctrl, field by field from the left: 8 bits, zone, ir, 4 bits, gisc,
        // 6 bits, gf, 1 bit, gisa, 1 bit, isc.
        let fields = [
            (8, 0),
            (8, 0),
            (1, 1),
            (4, 0),
            (3, u64::from(gisc)),
            (6, 0),
            (2, 0),
            (1, 0),
            (27, gisa >> 4),
            (1, 0),
            (3, u64::from(isc)),
        ];
        let expected = fields.iter().fold(0, |word, (width, value)| word << width | value);

        prop_assert_eq!(word.to_raw(), expected);
        prop_assert_eq!(fields.iter().map(|(width, _)| width).sum::<u32>(), 64);
        prop_assert!(word.enables());
        prop_assert_eq!(word.isc().get(), isc);
    }

    #[test]
    fn a_guests_request_is_ir_isc_and_nib(gr1: u64, gr2: u64) {
        let expected = if gr1 >> (63 - 16) & 1 == 1 {
            AqicRequest::Enable { gisc: Isc::new((gr1 % 8) as u8).unwrap(), nib: Nib::new(gr2) }
        } else {
            AqicRequest::Disable
        };

        prop_assert_eq!(AqicRequest::decode(gr1, gr2), expected);
    }

    #[test]
    fn a_nib_is_a_byte_in_a_page(address in 1u64..) {
        let nib = Nib::new(address).unwrap();

        prop_assert_eq!(nib.address(), address);
        prop_assert_eq!(nib.page() % 4096, 0);
        prop_assert!(nib.offset() < 4096);
        prop_assert_eq!(nib.page() + nib.offset(), address);
    }

    #[test]
    fn gr0_has_the_function_in_bits_32_to_39_and_the_apqn_in_48_to_63(gr0: u64) {
        let bytes = gr0.to_be_bytes();
        let register = PqapGr0::from_raw(gr0);

        prop_assert_eq!(register.function(), FunctionCode::try_from(bytes[4]));
        prop_assert_eq!(register.raw_apqn().to_be_bytes(), [bytes[6], bytes[7]]);
        prop_assert_eq!(register.reserved_bits_are_zero(), bytes[5] & 0x7f == 0);
    }
}

#[test]
fn function_codes_are_those_of_pqap() {
    let known = [
        (0, FunctionCode::Tapq),
        (1, FunctionCode::Rapq),
        (2, FunctionCode::Zapq),
        (3, FunctionCode::Aqic),
        (4, FunctionCode::Qci),
        (5, FunctionCode::Qact),
        (7, FunctionCode::Bapq),
        (8, FunctionCode::Aapq),
    ];

    for code in 0..=255 {
        let expected = known
            .iter()
            .find(|(known, _)| *known == code)
            .map(|(_, function)| *function)
            .ok_or(UnknownFunctionCode(code));
        assert_eq!(FunctionCode::try_from(code), expected);
    }
}

#[test]
fn what_the_control_word_has_no_room_for_is_refused() {
    assert!(GisaOrigin::new(0x7fff_fff0).is_some());
    for address in [0, 8, 0x7fff_fff1, 0x8000_0000, 1 << 32 | 0x10] {
        assert_eq!(GisaOrigin::new(address), None, "{address:#x}");
    }
    assert!(Isc::new(7).is_some());
    assert_eq!(Isc::new(8), None);
    assert_eq!(Nib::new(0), None);
    assert_eq!(AqicControl::DISABLE.to_raw(), 0);
    assert!(!AqicControl::DISABLE.enables());
}
