/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions for what the kernel's headers only have as static inline functions
 * and macros, or as members of structures too large to describe to Rust.
 *
 * Each does one thing and decides nothing. They are defined in shims.c.
 */
#ifndef VFIO_AP_SHIMS_H
#define VFIO_AP_SHIMS_H

#include <linux/types.h>

struct ap_config_info;
struct ap_device;
struct device;
struct eventfd_ctx;
struct iova_bitmap;
struct kvm;
struct kvm_vcpu;
struct mutex;
struct page;
struct rw_semaphore;
struct vfio_device;
struct debug_info;
struct delayed_work;
struct workqueue_struct;

/* arch/s390/include/asm/ap.h: the AP instructions; status words as they are. */
bool vfio_ap_shim_instructions_available(void);
bool vfio_ap_shim_test_facility(unsigned long nr);
int vfio_ap_shim_qci(struct ap_config_info *info);
u32 vfio_ap_shim_tapq(u32 qid);
u32 vfio_ap_shim_tapq_info(u32 qid, u64 *gr2);
u32 vfio_ap_shim_zapq(u32 qid);
u32 vfio_ap_shim_aqic(u32 qid, u64 control, u64 nib);

/* drivers/s390/crypto/ap_bus.h; @apdev has to be a queue */
u32 vfio_ap_shim_queue_id(struct ap_device *apdev);

/* What the AP bus's state machine for a queue was doing */
enum vfio_ap_queue_bus {
	AT_REST,
	RUNNING,
	TO_BEGIN,
};

enum vfio_ap_queue_bus vfio_ap_shim_queue_stop(struct device *dev);

/* linux/vfio.h */
void vfio_ap_shim_vfio_get_device(struct vfio_device *vdev);
void vfio_ap_shim_vfio_put_device(struct vfio_device *vdev);

/* linux/iova_bitmap.h; whether the kernel has it depends on its configuration */
bool vfio_ap_shim_has_dma_logging(void);
void vfio_ap_shim_iova_bitmap_set(struct iova_bitmap *bitmap, unsigned long iova,
				  size_t length);

/* linux/mm.h */
u64 vfio_ap_shim_page_to_phys(struct page *page);
void vfio_ap_shim_get_page(struct page *page);
void vfio_ap_shim_put_page(struct page *page);
void vfio_ap_shim_page_set_byte(struct page *page, u64 offset);

/* linux/kvm_host.h, asm/kvm_host.h */
struct mutex *vfio_ap_shim_kvm_lock(struct kvm *kvm);
struct rw_semaphore *vfio_ap_shim_kvm_hook_rwsem(struct kvm *kvm);
void **vfio_ap_shim_kvm_hook(struct kvm *kvm);
u32 vfio_ap_shim_kvm_crycbd(struct kvm *kvm);
void vfio_ap_shim_kvm_get(struct kvm *kvm);
void vfio_ap_shim_kvm_put(struct kvm *kvm);
void vfio_ap_shim_kvm_set_masks(struct kvm *kvm, u64 *apm, u64 *aqm, u64 *adm);
bool vfio_ap_shim_kvm_gpa_in_memslot(struct kvm *kvm, u64 gpa);
int vfio_ap_shim_kvm_gisc_register(struct kvm *kvm, u32 gisc, u64 *gisa);
int vfio_ap_shim_kvm_gisc_unregister(struct kvm *kvm, u32 gisc);
bool vfio_ap_shim_kvm_is_protected(struct kvm *kvm);

/* Of a registered subclass of a guest that has a GISA */
void vfio_ap_shim_kvm_gisc_make_pending(struct kvm *kvm, u32 gisc);
bool vfio_ap_shim_kvm_gisc_is_pending(struct kvm *kvm, u32 gisc);

/* What the hook needs to know of an intercepted PQAP; the caller holds vcpu->mutex */
struct vfio_ap_pqap {
	struct kvm *kvm;
	void *hook;
	u64 *gpr1;
	u64 gprs[3];
	bool aiv;
	bool is_protected;
};

void vfio_ap_shim_pqap(struct kvm_vcpu *vcpu, struct vfio_ap_pqap *pqap);

/* linux/eventfd.h */
void vfio_ap_shim_eventfd_signal(struct eventfd_ctx *ctx);

/* linux/workqueue.h; unbound */
struct workqueue_struct *vfio_ap_shim_alloc_workqueue(const char *name, bool rescuer);
void vfio_ap_shim_queue_work_within(struct workqueue_struct *wq, struct delayed_work *work,
				    unsigned long delay);

/* asm/debug.h; the format has to outlive the debug feature */
void vfio_ap_shim_debug_event(struct debug_info *id, int level, const char *format,
			      u64 a, u64 b, u64 c, u64 d);

/* linux/ratelimit.h; one state for all messages of the module */
bool vfio_ap_shim_ratelimit(void);

#endif /* VFIO_AP_SHIMS_H */
