/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tracepoints of vfio_ap: /sys/kernel/tracing/events/vfio_ap/.
 *
 * Masks have 256 bits in four words, bit 0 is the leftmost of the first.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vfio_ap

#if !defined(_TRACE_VFIO_AP_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_VFIO_AP_H

#include <linux/tracepoint.h>

/* A guest's PQAP(AQIC), its general registers 1 and 2, and the answer. */
TRACE_EVENT(vfio_ap_aqic,
	    TP_PROTO(u16 apqn, u64 gr1, u64 gr2, u32 status),
	    TP_ARGS(apqn, gr1, gr2, status),
	    TP_STRUCT__entry(__field(u16, apqn)
			     __field(u64, gr1)
			     __field(u64, gr2)
			     __field(u32, status)),
	    TP_fast_assign(__entry->apqn = apqn;
			   __entry->gr1 = gr1;
			   __entry->gr2 = gr2;
			   __entry->status = status;),
	    TP_printk("queue=%02x.%04x gr1=%016llx gr2=%016llx rc=%02x",
		      __entry->apqn >> 8, __entry->apqn & 0xff, __entry->gr1,
		      __entry->gr2, __entry->status >> 16 & 0xff));

DECLARE_EVENT_CLASS(vfio_ap_reset,
		    TP_PROTO(u16 apqn, u8 rc),
		    TP_ARGS(apqn, rc),
		    TP_STRUCT__entry(__field(u16, apqn)
				     __field(u8, rc)),
		    TP_fast_assign(__entry->apqn = apqn;
				   __entry->rc = rc;),
		    TP_printk("queue=%02x.%04x rc=%02x", __entry->apqn >> 8,
			      __entry->apqn & 0xff, __entry->rc));

/* A reset was asked for; the response code of ZAPQ. */
DEFINE_EVENT(vfio_ap_reset, vfio_ap_reset_start,
	     TP_PROTO(u16 apqn, u8 rc),
	     TP_ARGS(apqn, rc));

/* It has ended; 00, or the response code that ended it. */
DEFINE_EVENT(vfio_ap_reset, vfio_ap_reset_end,
	     TP_PROTO(u16 apqn, u8 rc),
	     TP_ARGS(apqn, rc));

DECLARE_EVENT_CLASS(vfio_ap_matrix,
		    TP_PROTO(const char *mdev, const u64 *apm, const u64 *aqm,
			     const u64 *adm, int error),
		    TP_ARGS(mdev, apm, aqm, adm, error),
		    TP_STRUCT__entry(__string(mdev, mdev)
				     __array(u64, apm, 4)
				     __array(u64, aqm, 4)
				     __array(u64, adm, 4)
				     __field(int, error)),
		    TP_fast_assign(__assign_str(mdev);
				   memcpy(__entry->apm, apm, sizeof(__entry->apm));
				   memcpy(__entry->aqm, aqm, sizeof(__entry->aqm));
				   memcpy(__entry->adm, adm, sizeof(__entry->adm));
				   __entry->error = error;),
		    TP_printk("mdev=%s apm=0x%016llx%016llx%016llx%016llx aqm=0x%016llx%016llx%016llx%016llx adm=0x%016llx%016llx%016llx%016llx error=%d",
			      __get_str(mdev),
			      __entry->apm[0], __entry->apm[1], __entry->apm[2], __entry->apm[3],
			      __entry->aqm[0], __entry->aqm[1], __entry->aqm[2], __entry->aqm[3],
			      __entry->adm[0], __entry->adm[1], __entry->adm[2], __entry->adm[3],
			      __entry->error));

/* What is to be assigned to a mediated device, and the error if it was refused. */
DEFINE_EVENT(vfio_ap_matrix, vfio_ap_assign,
	     TP_PROTO(const char *mdev, const u64 *apm, const u64 *aqm,
		      const u64 *adm, int error),
	     TP_ARGS(mdev, apm, aqm, adm, error));

/* What its guest has from now on, or would have; the error is 0. */
DEFINE_EVENT(vfio_ap_matrix, vfio_ap_filter,
	     TP_PROTO(const char *mdev, const u64 *apm, const u64 *aqm,
		      const u64 *adm, int error),
	     TP_ARGS(mdev, apm, aqm, adm, error));

#endif /* _TRACE_VFIO_AP_H */

#include <trace/define_trace.h>
