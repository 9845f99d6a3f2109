// SPDX-License-Identifier: GPL-2.0
/*
 * The functions declared in include/shims.h.
 */

#include <linux/device.h>
#include <linux/eventfd.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/ratelimit.h>
#include <linux/vfio.h>
#include <asm/ap.h>
#include <asm/debug.h>
#include <asm/facility.h>
#include <ap_bus.h>
#include <shims.h>
#include <version.h>

/* The other fields are in module!, which has no key for this one. */
MODULE_VERSION(VFIO_AP_VERSION);

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

u32 vfio_ap_shim_tapq(u32 qid, u64 *gr2)
{
	struct ap_tapq_hwinfo info = {};
	struct ap_queue_status status = ap_tapq(qid, &info);

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

void vfio_ap_shim_vfio_get_device(struct vfio_device *vdev)
{
	get_device(&vdev->device);
}

void vfio_ap_shim_vfio_put_device(struct vfio_device *vdev)
{
	vfio_put_device(vdev);
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

u64 vfio_ap_shim_kvm_gisa(struct kvm *kvm)
{
	void *gisa = kvm->arch.gisa_int.origin;

	return gisa ? virt_to_phys(gisa) : 0;
}

struct kvm *vfio_ap_shim_vcpu_kvm(struct kvm_vcpu *vcpu)
{
	return vcpu->kvm;
}

u64 *vfio_ap_shim_vcpu_gprs(struct kvm_vcpu *vcpu)
{
	return (u64 *)vcpu->run->s.regs.gprs;
}

bool vfio_ap_shim_vcpu_has_aiv(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.sie_block->eca & ECA_AIV;
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

void vfio_ap_shim_kvm_clear_masks(struct kvm *kvm)
{
	kvm_arch_crypto_clear_masks(kvm);
}

bool vfio_ap_shim_kvm_gpa_in_memslot(struct kvm *kvm, u64 gpa)
{
	return kvm_s390_is_gpa_in_memslot(kvm, gpa);
}

int vfio_ap_shim_kvm_gisc_register(struct kvm *kvm, u32 gisc)
{
	return kvm_s390_gisc_register(kvm, gisc);
}

int vfio_ap_shim_kvm_gisc_unregister(struct kvm *kvm, u32 gisc)
{
	return kvm_s390_gisc_unregister(kvm, gisc);
}

bool vfio_ap_shim_vcpu_is_protected(struct kvm_vcpu *vcpu)
{
	return kvm_s390_pv_cpu_is_protected(vcpu);
}

void vfio_ap_shim_eventfd_signal(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx);
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
