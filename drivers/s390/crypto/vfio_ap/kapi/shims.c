// SPDX-License-Identifier: GPL-2.0
/*
 * The functions declared in shims.h.
 */

#include <linux/device.h>
#include <linux/eventfd.h>
#include <linux/hrtimer.h>
#include <linux/iova_bitmap.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/ratelimit.h>
#include <linux/vfio.h>
#include <linux/workqueue.h>
#include <asm/ap.h>
#include <asm/debug.h>
#include <asm/facility.h>
#include <ap_bus.h>
#include "shims.h"
#include "../version.h"

/* The other fields are in module!, which has no keys for these. */
MODULE_VERSION(VFIO_AP_VERSION);
MODULE_IMPORT_NS("IOMMUFD");

bool vfio_ap_shim_instructions_available(void)
{
	return ap_instructions_available();
}

bool vfio_ap_shim_test_facility(unsigned long nr)
{
	return test_facility(nr);
}

int vfio_ap_shim_qci(struct ap_config_info *info)
{
	return ap_qci(info);
}

u32 vfio_ap_shim_tapq(u32 qid)
{
	return ap_tapq(qid, NULL).value;
}

u32 vfio_ap_shim_tapq_info(u32 qid, u64 *gr2)
{
	struct ap_tapq_hwinfo info = {};
	/* Without the T bit, the facilities are not stored. It needs APFT. */
	struct ap_queue_status status = ap_test_queue(qid, test_facility(15), &info);

	*gr2 = info.value;
	return status.value;
}

u32 vfio_ap_shim_zapq(u32 qid)
{
	return ap_zapq(qid, 0).value;
}

u32 vfio_ap_shim_aqic(u32 qid, u64 control, u64 nib)
{
	union ap_qirq_ctrl ctrl = { .value = control };

	return ap_aqic(qid, ctrl, nib).value;
}

u32 vfio_ap_shim_queue_id(struct ap_device *apdev)
{
	return to_ap_queue(&apdev->device)->qid;
}

/*
 * The bus starts its machine for a new queue after the driver was bound: it resets
 * the queue, and enables interrupts for the host. Until then ap_queue_init_state()
 * has not set the association index. It does not start it for a queue that is not
 * there to be used.
 */
enum vfio_ap_queue_bus vfio_ap_shim_queue_stop(struct device *dev)
{
	struct ap_queue *aq = to_ap_queue(dev);
	enum vfio_ap_queue_bus was = AT_REST;

	spin_lock_bh(&aq->lock);
	switch (aq->dev_state) {
	case AP_DEV_STATE_OPERATING:
		was = RUNNING;
		fallthrough;
	case AP_DEV_STATE_ERROR:
		aq->dev_state = AP_DEV_STATE_UNINITIATED;
		break;
	case AP_DEV_STATE_UNINITIATED:
		if (aq->assoc_idx == ASSOC_IDX_INVALID)
			break;
		if (aq->config && !aq->chkstop)
			was = TO_BEGIN;
		else
			aq->assoc_idx = ASSOC_IDX_INVALID;
		break;
	default:
		break;
	}
	spin_unlock_bh(&aq->lock);
	return was;
}

void vfio_ap_shim_vfio_get_device(struct vfio_device *vdev)
{
	get_device(&vdev->device);
}

void vfio_ap_shim_vfio_put_device(struct vfio_device *vdev)
{
	vfio_put_device(vdev);
}

bool vfio_ap_shim_has_dma_logging(void)
{
	return IS_ENABLED(CONFIG_IOMMUFD_DRIVER);
}

void vfio_ap_shim_iova_bitmap_set(struct iova_bitmap *bitmap, unsigned long iova,
				  size_t length)
{
	iova_bitmap_set(bitmap, iova, length);
}

u64 vfio_ap_shim_page_to_phys(struct page *page)
{
	return page_to_phys(page);
}

void vfio_ap_shim_get_page(struct page *page)
{
	get_page(page);
}

void vfio_ap_shim_put_page(struct page *page)
{
	put_page(page);
}

/* What hardware stores into a notification indicator byte. */
void vfio_ap_shim_page_set_byte(struct page *page, u64 offset)
{
	u8 *nib = (u8 *)page_to_virt(page) + offset;

	WRITE_ONCE(*nib, 1);
}

struct mutex *vfio_ap_shim_kvm_lock(struct kvm *kvm)
{
	return &kvm->lock;
}

struct rw_semaphore *vfio_ap_shim_kvm_hook_rwsem(struct kvm *kvm)
{
	return &kvm->arch.crypto.pqap_hook_rwsem;
}

void **vfio_ap_shim_kvm_hook(struct kvm *kvm)
{
	return (void **)&kvm->arch.crypto.pqap_hook;
}

u32 vfio_ap_shim_kvm_crycbd(struct kvm *kvm)
{
	return kvm->arch.crypto.crycbd;
}

void vfio_ap_shim_pqap(struct kvm_vcpu *vcpu, struct vfio_ap_pqap *pqap)
{
	u64 *gprs = (u64 *)vcpu->run->s.regs.gprs;

	/* User space may change them meanwhile: each is read once. */
	pqap->gprs[0] = READ_ONCE(gprs[0]);
	pqap->gprs[1] = READ_ONCE(gprs[1]);
	pqap->gprs[2] = READ_ONCE(gprs[2]);
	pqap->gpr1 = &gprs[1];
	pqap->kvm = vcpu->kvm;
	pqap->hook = vcpu->kvm->arch.crypto.pqap_hook;
	pqap->aiv = vcpu->arch.sie_block->eca & ECA_AIV;
	pqap->is_protected = kvm_s390_pv_cpu_is_protected(vcpu);
}

void vfio_ap_shim_kvm_get(struct kvm *kvm)
{
	kvm_get_kvm(kvm);
}

void vfio_ap_shim_kvm_put(struct kvm *kvm)
{
	kvm_put_kvm(kvm);
}

void vfio_ap_shim_kvm_set_masks(struct kvm *kvm, u64 *apm, u64 *aqm, u64 *adm)
{
	kvm_arch_crypto_set_masks(kvm, (unsigned long *)apm, (unsigned long *)aqm,
				  (unsigned long *)adm);
}

bool vfio_ap_shim_kvm_gpa_in_memslot(struct kvm *kvm, u64 gpa)
{
	return kvm_s390_is_gpa_in_memslot(kvm, gpa);
}

int vfio_ap_shim_kvm_gisc_register(struct kvm *kvm, u32 gisc, u64 *gisa)
{
	void *origin = kvm->arch.gisa_int.origin;

	*gisa = origin ? virt_to_phys(origin) : 0;
	return kvm_s390_gisc_register(kvm, gisc);
}

int vfio_ap_shim_kvm_gisc_unregister(struct kvm *kvm, u32 gisc)
{
	return kvm_s390_gisc_unregister(kvm, gisc);
}

bool vfio_ap_shim_kvm_is_protected(struct kvm *kvm)
{
	return READ_ONCE(kvm->arch.pv.handle);
}

static unsigned long gisc_bit(u32 gisc)
{
	return offsetof(struct kvm_s390_gisa, ipm) * BITS_PER_BYTE + gisc;
}

/*
 * Nothing is exported for that. A processor in SIE takes the interruption itself; one
 * that waits is kicked by the timer that KVM starts for it when an adapter has made an
 * interruption pending, again and again until it was taken.
 */
void vfio_ap_shim_kvm_gisc_make_pending(struct kvm *kvm, u32 gisc)
{
	struct kvm_s390_gisa_interrupt *gi = &kvm->arch.gisa_int;

	set_bit_inv(gisc_bit(gisc), (unsigned long *)gi->origin);
	/* As KVM does: the timer's function must not run when it is started. */
	if (hrtimer_active(&gi->timer))
		hrtimer_cancel(&gi->timer);
	hrtimer_start(&gi->timer, 0, HRTIMER_MODE_REL);
}

bool vfio_ap_shim_kvm_gisc_is_pending(struct kvm *kvm, u32 gisc)
{
	return test_bit_inv(gisc_bit(gisc), (unsigned long *)kvm->arch.gisa_int.origin);
}

void vfio_ap_shim_eventfd_signal(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx);
}

/* What is pending for later is brought forward, and never put off. */
void vfio_ap_shim_queue_work_within(struct workqueue_struct *wq, struct delayed_work *work,
				    unsigned long delay)
{
	if (!queue_delayed_work(wq, work, delay) && timer_pending(&work->timer) &&
	    time_before(jiffies + delay, READ_ONCE(work->timer.expires)))
		mod_delayed_work(wq, work, delay);
}

struct workqueue_struct *vfio_ap_shim_alloc_workqueue(const char *name, bool rescuer)
{
	return alloc_workqueue("%s", WQ_UNBOUND | (rescuer ? WQ_MEM_RECLAIM : 0), 0,
			       name);
}

void vfio_ap_shim_debug_event(struct debug_info *id, int level, const char *format,
			      u64 a, u64 b, u64 c, u64 d)
{
	if (debug_level_enabled(id, level))
		__debug_sprintf_event(id, level, (char *)format, a, b, c, d);
}

bool vfio_ap_shim_ratelimit(void)
{
	static DEFINE_RATELIMIT_STATE(state, DEFAULT_RATELIMIT_INTERVAL,
				      DEFAULT_RATELIMIT_BURST);

	return __ratelimit(&state);
}
