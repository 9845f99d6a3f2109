// SPDX-License-Identifier: GPL-2.0
/*
 * What vfio_ap asks of KVM and of the Ultravisor about a protected guest's page,
 * answered as a test wants it. The emulated host has no Ultravisor.
 *
 * A vfio_ap.ko whose references to kvm_s390_pv_cpu_is_protected() and
 * uv_pin_shared() were renamed to these functions is otherwise as it was built.
 *
 * Parameters, in /sys/module/ultravisor_standin/parameters: whether guests count as
 * protected, whether their pages are shared; and how often that was asked, and for
 * which page last; and which interruption subclasses a guest had registered when KVM
 * was last asked.
 */
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static bool protected;
module_param(protected, bool, 0600);
static bool shared;
module_param(shared, bool, 0600);
static unsigned int asked;
module_param(asked, uint, 0600);
static unsigned long page;
module_param(page, ulong, 0600);
static unsigned int alert_mask;
module_param(alert_mask, uint, 0600);

bool standin_pv_cpu_is_protected(struct kvm_vcpu *vcpu);
bool standin_pv_cpu_is_protected(struct kvm_vcpu *vcpu)
{
	alert_mask = READ_ONCE(vcpu->kvm->arch.gisa_int.alert.mask);
	return protected;
}
EXPORT_SYMBOL_GPL(standin_pv_cpu_is_protected);

int standin_pin_shared(unsigned long paddr);
int standin_pin_shared(unsigned long paddr)
{
	asked++;
	page = paddr;
	return shared ? 0 : -EINVAL;
}
EXPORT_SYMBOL_GPL(standin_pin_shared);

MODULE_DESCRIPTION("Stand-in for the Ultravisor, for tests of vfio_ap");
MODULE_LICENSE("GPL");
