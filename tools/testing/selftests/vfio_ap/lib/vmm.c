// SPDX-License-Identifier: GPL-2.0
/*
 * A small machine monitor on /dev/kvm for s390 guests with AP queues.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "kselftest.h"
#include "vmm.h"

#define PSW_MASK_64BIT		0x0000000180000000UL
#define PSW_MASK_WAIT		0x0002000000000000UL
#define PSW_MASK_IO		0x0200000000000000UL
#define PSW_MASK_PROBLEM	0x0001000000000000UL

#define ICPT_INSTRUCTION	4
#define SIGNAL_KICK		SIGUSR1

unsigned int hang_ms = 120000;

static int __printf(3, 4) fail(char *error, int err, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(error, 200, fmt, ap);
	va_end(ap);
	if (n > 0 && n < 200 && err)
		snprintf(error + n, VMM_ERROR_SIZE - n, ": %s",
			 strerror(err));
	return err ? -err : -EPROTO;
}

static int attr_set(struct vmm *vmm, uint32_t group, uint64_t attr, void *data,
		    const char *what)
{
	struct kvm_device_attr a = {
		.group = group, .attr = attr, .addr = (uintptr_t)data,
	};

	if (ioctl(vmm->vm, KVM_SET_DEVICE_ATTR, &a))
		return fail(vmm->error, errno, "KVM_SET_DEVICE_ATTR %s", what);
	return 0;
}

static int attr_get(struct vmm *vmm, uint32_t group, uint64_t attr, void *data,
		    const char *what)
{
	struct kvm_device_attr a = {
		.group = group, .attr = attr, .addr = (uintptr_t)data,
	};

	if (ioctl(vmm->vm, KVM_GET_DEVICE_ATTR, &a))
		return fail(vmm->error, errno, "KVM_GET_DEVICE_ATTR %s", what);
	return 0;
}

static void facility(__u64 *list, unsigned int bit, bool on)
{
	__u64 mask = 1ULL << (63 - bit % 64);

	if (on)
		list[bit / 64] |= mask;
	else
		list[bit / 64] &= ~mask;
}

static int set_cpu_model(struct vmm *vmm, const struct vmm_config *config)
{
	struct kvm_s390_vm_cpu_processor processor;
	int ret;

	ret = attr_get(vmm, KVM_S390_VM_CPU_MODEL, KVM_S390_VM_CPU_PROCESSOR,
		       &processor, "CPU_PROCESSOR");
	if (ret)
		return ret;
	facility(processor.fac_list, VMM_FAC_APQCI,
		 !config->no_ap && !config->no_apqci);
	facility(processor.fac_list, VMM_FAC_APFT,
		 !config->no_ap && !config->no_apft);
	facility(processor.fac_list, VMM_FAC_AQIC,
		 !config->no_ap && !config->no_aqic);
	return attr_set(vmm, KVM_S390_VM_CPU_MODEL, KVM_S390_VM_CPU_PROCESSOR,
			&processor, "CPU_PROCESSOR");
}

/* All that KVM has for guests of guests */
static int set_nested(struct vmm *vmm)
{
	struct kvm_s390_vm_cpu_feat features;
	int ret;

	ret = attr_get(vmm, KVM_S390_VM_CPU_MODEL, KVM_S390_VM_CPU_MACHINE_FEAT,
		       &features, "CPU_MACHINE_FEAT");
	return ret ?: attr_set(vmm, KVM_S390_VM_CPU_MODEL, KVM_S390_VM_CPU_PROCESSOR_FEAT,
			       &features, "CPU_PROCESSOR_FEAT");
}

int vmm_set_apie(struct vmm *vmm, bool on)
{
	if (on)
		return attr_set(vmm, KVM_S390_VM_CRYPTO,
				KVM_S390_VM_CRYPTO_ENABLE_APIE, NULL,
				"CRYPTO_ENABLE_APIE");
	return attr_set(vmm, KVM_S390_VM_CRYPTO,
			KVM_S390_VM_CRYPTO_DISABLE_APIE, NULL,
			"CRYPTO_DISABLE_APIE");
}

int vmm_memory(struct vmm *vmm, unsigned int slot, uint64_t gpa, uint64_t size,
	       void *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	if (ioctl(vmm->vm, KVM_SET_USER_MEMORY_REGION, &region))
		return fail(vmm->error, errno,
			    "KVM_SET_USER_MEMORY_REGION slot %u", slot);
	return 0;
}

static uint64_t guest_address(const unsigned char *label)
{
	return GUEST_CODE + (label - guest_image);
}

static void new_psw(uint8_t *prefix, unsigned int offset,
		    const unsigned char *handler)
{
	uint64_t psw[2] = { PSW_MASK_64BIT, guest_address(handler) };

	memcpy(prefix + offset, psw, sizeof(psw));
}

static int create_cpu(struct vmm *vmm, unsigned int cpu)
{
	uint64_t block = GUEST_CPU_BLOCK + cpu * GUEST_CPU_BLOCK_SIZE;
	uint8_t *prefix = vmm->mem + block;
	struct kvm_run *run;

	vmm->vcpu[cpu] = ioctl(vmm->vm, KVM_CREATE_VCPU, cpu);
	if (vmm->vcpu[cpu] < 0)
		return fail(vmm->error, errno, "KVM_CREATE_VCPU %u", cpu);
	run = mmap(NULL, vmm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   vmm->vcpu[cpu], 0);
	if (run == MAP_FAILED)
		return fail(vmm->error, errno, "mmap of kvm_run %u", cpu);
	vmm->run[cpu] = run;

	new_psw(prefix, 0x1a0, guest_restart);
	new_psw(prefix, 0x1b0, guest_ext);
	new_psw(prefix, 0x1c0, guest_svc);
	new_psw(prefix, 0x1d0, guest_pgm);
	new_psw(prefix, 0x1e0, guest_mcheck);
	new_psw(prefix, 0x1f0, guest_io_handler);

	run->psw_mask = PSW_MASK_64BIT;
	run->psw_addr = GUEST_CODE;
	run->s.regs.prefix = block;
	memset(run->s.regs.gprs, 0, sizeof(run->s.regs.gprs));
	run->s.regs.gprs[15] = block + GUEST_CPU_MAILBOX;
	run->kvm_dirty_regs = KVM_SYNC_PREFIX | KVM_SYNC_GPRS;
	return 0;
}

static void kick_handler(int signal)
{
}

int vmm_create(struct vmm *vmm, const struct vmm_config *config)
{
	static const struct vmm_config defaults;
	struct sigaction action = { .sa_handler = kick_handler };
	unsigned int i;
	int ret;

	memset(vmm, 0, sizeof(*vmm));
	vmm->kvm = -1;
	vmm->vm = -1;
	vmm->kvm_vfio = -1;
	vmm->mem = MAP_FAILED;
	for (i = 0; i < VMM_MAX_CPUS; i++)
		vmm->vcpu[i] = -1;
	if (!config)
		config = &defaults;
	vmm->cpus = config->cpus ? config->cpus : 1;
	if (vmm->cpus > VMM_MAX_CPUS)
		return fail(vmm->error, EINVAL, "%u CPUs", vmm->cpus);

	/* No SA_RESTART: the kick is there to end KVM_RUN. */
	sigaction(SIGNAL_KICK, &action, NULL);

	vmm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vmm->kvm < 0)
		return fail(vmm->error, errno, "/dev/kvm");
	ret = ioctl(vmm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (ret < 0) {
		ret = fail(vmm->error, errno, "KVM_GET_VCPU_MMAP_SIZE");
		goto destroy;
	}
	vmm->run_size = ret;

	vmm->vm = ioctl(vmm->kvm, KVM_CREATE_VM, 0);
	if (vmm->vm < 0) {
		ret = fail(vmm->error, errno, "KVM_CREATE_VM");
		goto destroy;
	}

	ret = set_cpu_model(vmm, config);
	if (ret)
		goto destroy;
	if (config->nested) {
		ret = set_nested(vmm);
		if (ret)
			goto destroy;
	}
	if (!config->no_ap) {
		ret = vmm_set_apie(vmm, true);
		if (ret)
			goto destroy;
	}

	vmm->mem = mmap(NULL, VMM_MEM_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vmm->mem == MAP_FAILED) {
		ret = fail(vmm->error, errno, "mmap of guest memory");
		goto destroy;
	}
	memcpy(vmm->mem + GUEST_CODE, guest_image,
	       guest_image_end - guest_image);
	ret = vmm_memory(vmm, 0, 0, VMM_MEM_SIZE, vmm->mem);
	if (ret)
		goto destroy;

	for (i = 0; i < vmm->cpus; i++) {
		ret = create_cpu(vmm, i);
		if (ret)
			goto destroy;
	}
	return 0;

destroy:
	vmm_destroy(vmm);
	return ret;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void vmm_destroy(struct vmm *vmm)
{
	unsigned int i;

	for (i = 0; i < vmm->cpus; i++) {
		if (vmm->in_thread[i]) {
			vmm_mailbox(vmm, i)->stop = 1;
			vmm_join(vmm, i);
		}
		if (vmm->run[i])
			munmap(vmm->run[i], vmm->run_size);
		vmm->run[i] = NULL;
		close_fd(&vmm->vcpu[i]);
	}
	close_fd(&vmm->kvm_vfio);
	close_fd(&vmm->vm);
	close_fd(&vmm->kvm);
	if (vmm->mem && vmm->mem != MAP_FAILED)
		munmap(vmm->mem, VMM_MEM_SIZE);
	vmm->mem = NULL;
}

static int unexpected_exit(struct vmm *vmm, unsigned int cpu)
{
	struct kvm_run *run = vmm->run[cpu];

	if (run->exit_reason == KVM_EXIT_S390_SIEIC)
		return fail(vmm->error, 0,
			    "CPU %u: intercept %#x ipa %#x ipb %#x psw %#llx %#llx",
			    cpu, run->s390_sieic.icptcode, run->s390_sieic.ipa,
			    run->s390_sieic.ipb, run->psw_mask, run->psw_addr);
	return fail(vmm->error, 0, "CPU %u: exit reason %u psw %#llx %#llx",
		    cpu, run->exit_reason, run->psw_mask, run->psw_addr);
}

/* The DIAGNOSE that ends an operation? */
static bool is_hypercall(const struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_S390_SIEIC &&
	       run->s390_sieic.icptcode == ICPT_INSTRUCTION &&
	       run->s390_sieic.ipa >> 8 == 0x83 &&
	       (run->s390_sieic.ipb >> 16 & 0xfff) == GUEST_DIAG;
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000UL + ts.tv_nsec / 1000000;
}

int vmm_run(struct vmm *vmm, unsigned int cpu, unsigned int timeout_ms)
{
	struct kvm_run *run = vmm->run[cpu];
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGNAL_KICK,
	};
	/*
	 * A signal that comes just before KVM_RUN is lost, so there is more
	 * than one.
	 */
	struct itimerspec when = {
		.it_value = {
			.tv_sec = timeout_ms / 1000,
			.tv_nsec = timeout_ms % 1000 * 1000000L,
		},
		.it_interval.tv_nsec = 50000000,
	};
	uint64_t end = now_ms() + timeout_ms;
	timer_t timer;
	int ret;

	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		return fail(vmm->error, errno, "timer_create");
	timer_settime(timer, 0, &when, NULL);
	for (;;) {
		if (!ioctl(vmm->vcpu[cpu], KVM_RUN, 0)) {
			ret = is_hypercall(run) ? 0 : unexpected_exit(vmm, cpu);
			break;
		}
		if (errno != EINTR && errno != EAGAIN) {
			ret = fail(vmm->error, errno, "CPU %u: KVM_RUN", cpu);
			break;
		}
		if (now_ms() >= end) {
			ret = fail(vmm->error, ETIMEDOUT,
				   "CPU %u: after %u ms, psw %#llx %#llx", cpu,
				   timeout_ms, run->psw_mask, run->psw_addr);
			break;
		}
	}
	timer_delete(timer);
	return ret;
}

int vmm_cancel(struct vmm *vmm, unsigned int cpu)
{
	vmm->run[cpu]->psw_mask = PSW_MASK_64BIT;
	vmm->run[cpu]->psw_addr = GUEST_CODE;
	return vmm_run(vmm, cpu, hang_ms);
}

struct thread_argument {
	struct vmm *vmm;
	unsigned int cpu;
	unsigned int timeout_ms;
};

static void *run_thread(void *data)
{
	struct thread_argument a = *(struct thread_argument *)data;

	free(data);
	a.vmm->thread_result[a.cpu] = vmm_run(a.vmm, a.cpu, a.timeout_ms);
	return NULL;
}

int vmm_start(struct vmm *vmm, unsigned int cpu, unsigned int timeout_ms)
{
	struct thread_argument *a = malloc(sizeof(*a));
	int ret;

	if (!a)
		return fail(vmm->error, ENOMEM, "malloc");
	*a = (struct thread_argument) { vmm, cpu, timeout_ms };
	ret = pthread_create(&vmm->thread[cpu], NULL, run_thread, a);
	if (ret) {
		free(a);
		return fail(vmm->error, ret, "pthread_create");
	}
	vmm->in_thread[cpu] = true;
	return 0;
}

int vmm_join(struct vmm *vmm, unsigned int cpu)
{
	if (!vmm->in_thread[cpu])
		return fail(vmm->error, EINVAL, "CPU %u is in no thread", cpu);
	pthread_join(vmm->thread[cpu], NULL);
	vmm->in_thread[cpu] = false;
	return vmm->thread_result[cpu];
}

/* The first byte of an instruction tells its length. */
static unsigned int instruction_length(uint64_t insn)
{
	static const uint8_t lengths[] = { 2, 4, 4, 6 };

	return lengths[insn >> 62];
}

static void put_instruction(uint8_t *to, uint64_t insn)
{
	unsigned int length = instruction_length(insn);

	memset(to, 0, 6);
	memcpy(to, &insn, length);
	for (; length < 6; length += 2)
		memcpy(to + length, "\x07\0", 2);
}

void vmm_set_slot(struct vmm *vmm, uint64_t insn)
{
	put_instruction(vmm->mem + guest_address(guest_slot), insn);
}

static int operation(struct vmm *vmm, unsigned int cpu, uint32_t op)
{
	struct guest_mailbox *mailbox = vmm_mailbox(vmm, cpu);

	mailbox->op = op;
	mailbox->pgm = 0;
	return vmm_run(vmm, cpu, hang_ms);
}

int vmm_execute(struct vmm *vmm, unsigned int cpu, uint64_t insn)
{
	vmm_set_slot(vmm, insn);
	return operation(vmm, cpu, GUEST_OP_ONCE);
}

int vmm_execute_ex(struct vmm *vmm, unsigned int cpu, uint64_t insn)
{
	put_instruction(vmm_mailbox(vmm, cpu)->insn, insn);
	return operation(vmm, cpu, GUEST_OP_EXECUTE);
}

int vmm_execute_pqap_marked(struct vmm *vmm, unsigned int cpu)
{
	return operation(vmm, cpu, GUEST_OP_PQAP_MARKED);
}

int vmm_execute_problem(struct vmm *vmm, unsigned int cpu, uint64_t insn,
			bool *faulted)
{
	struct guest_mailbox *mailbox = vmm_mailbox(vmm, cpu);
	int ret;

	/* It lasts until the first interruption. */
	vmm->run[cpu]->psw_mask |= PSW_MASK_PROBLEM;
	ret = vmm_execute(vmm, cpu, insn);
	if (ret)
		return ret;
	if (!mailbox->pgm || !(mailbox->old_psw[0] & PSW_MASK_PROBLEM))
		return fail(vmm->error, 0, "CPU %u was not in the problem state",
			    cpu);
	*faulted = mailbox->old_psw[1] ==
		   guest_address(guest_slot) + instruction_length(insn);
	return 0;
}

bool vmm_intercepted(struct vmm *vmm, unsigned int cpu, uint16_t opcode)
{
	const struct kvm_run *run = vmm->run[cpu];

	return run->exit_reason == KVM_EXIT_S390_SIEIC &&
	       run->s390_sieic.icptcode == ICPT_INSTRUCTION &&
	       run->s390_sieic.ipa == opcode;
}

int vmm_program_interruption(struct vmm *vmm, unsigned int cpu, uint16_t code)
{
	struct kvm_s390_irq irq = {
		.type = KVM_S390_PROGRAM_INT,
		.u.pgm.code = code,
	};

	if (ioctl(vmm->vcpu[cpu], KVM_S390_IRQ, &irq))
		return fail(vmm->error, errno, "KVM_S390_IRQ program %#x", code);
	return vmm_run(vmm, cpu, hang_ms);
}

void vmm_prepare_wait(struct vmm *vmm, unsigned int cpu, uint8_t iscs)
{
	struct guest_mailbox *mailbox = vmm_mailbox(vmm, cpu);

	mailbox->cr6 = (uint64_t)iscs << 24;
	mailbox->wait_psw[0] = PSW_MASK_64BIT | PSW_MASK_WAIT | PSW_MASK_IO;
	mailbox->op = GUEST_OP_WAIT;
	mailbox->pgm = 0;
}

int vmm_wait_io(struct vmm *vmm, unsigned int cpu, uint8_t iscs,
		struct guest_io *io, unsigned int timeout_ms)
{
	struct guest_mailbox *mailbox = vmm_mailbox(vmm, cpu);
	uint64_t before = mailbox->nr_io;
	int ret;

	vmm_prepare_wait(vmm, cpu, iscs);
	ret = vmm_run(vmm, cpu, timeout_ms);
	if (ret == -ETIMEDOUT) {
		char text[sizeof(vmm->error)];

		memcpy(text, vmm->error, sizeof(text));
		ret = vmm_cancel(vmm, cpu);
		if (ret)
			return ret;
		memcpy(vmm->error, text, sizeof(text));
		return -ETIMEDOUT;
	}
	if (ret)
		return ret;
	if (mailbox->pgm)
		return fail(vmm->error, 0, "CPU %u: interruption %#x in a wait",
			    cpu, mailbox->pgm);
	if (mailbox->nr_io != before + 1)
		return fail(vmm->error, 0, "CPU %u: %lu I/O interruptions", cpu,
			    mailbox->nr_io - before);
	if (io)
		*io = mailbox->io[before % MB_IO_ENTRIES];
	return 0;
}

/* --- VFIO ---------------------------------------------------------------- */

static void vfio_init(struct vmm_vfio *vfio, bool cdev)
{
	memset(vfio, 0, sizeof(*vfio));
	vfio->cdev = cdev;
	vfio->container = -1;
	vfio->group = -1;
	vfio->device = -1;
}

int vmm_vfio_open_group(struct vmm_vfio *vfio, const char *uuid)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char link[128], target[256];
	const char *number;
	ssize_t n;
	int ret;

	vfio_init(vfio, false);
	snprintf(link, sizeof(link), "/sys/bus/mdev/devices/%s/iommu_group",
		 uuid);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return fail(vfio->error, errno, "%s", link);
	target[n] = 0;
	number = strrchr(target, '/');
	snprintf(vfio->path, sizeof(vfio->path), "/dev/vfio/%.20s",
		 number ? number + 1 : target);

	vfio->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (vfio->container < 0)
		return fail(vfio->error, errno, "/dev/vfio/vfio");
	vfio->group = open(vfio->path, O_RDWR | O_CLOEXEC);
	if (vfio->group < 0) {
		ret = fail(vfio->error, errno, "%s", vfio->path);
		goto close;
	}
	if (ioctl(vfio->group, VFIO_GROUP_GET_STATUS, &status) ||
	    !(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		ret = fail(vfio->error, errno, "group not viable (flags %#x)",
			   status.flags);
		goto close;
	}
	if (ioctl(vfio->group, VFIO_GROUP_SET_CONTAINER, &vfio->container)) {
		ret = fail(vfio->error, errno, "VFIO_GROUP_SET_CONTAINER");
		goto close;
	}
	if (ioctl(vfio->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)) {
		ret = fail(vfio->error, errno, "VFIO_SET_IOMMU type1v2");
		goto close;
	}
	return 0;

close:
	vmm_vfio_close(vfio);
	return ret;
}

int vmm_vfio_open_cdev(struct vmm_vfio *vfio, const char *uuid)
{
	struct dirent *entry;
	char path[128];
	DIR *dir;

	vfio_init(vfio, true);
	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s/vfio-dev", uuid);
	dir = opendir(path);
	if (!dir)
		return fail(vfio->error, errno, "%s", path);
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "vfio", 4))
			snprintf(vfio->path, sizeof(vfio->path),
				 "/dev/vfio/devices/%.20s", entry->d_name);
	closedir(dir);
	if (!vfio->path[0])
		return fail(vfio->error, ENOENT, "no device in %s", path);

	vfio->container = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (vfio->container < 0)
		return fail(vfio->error, errno, "/dev/iommu");
	vfio->device = open(vfio->path, O_RDWR | O_CLOEXEC);
	if (vfio->device < 0) {
		int ret = fail(vfio->error, errno, "%s", vfio->path);

		vmm_vfio_close(vfio);
		return ret;
	}
	return 0;
}

static int kvm_vfio_file(struct vmm_vfio *vfio, struct vmm *vmm, uint64_t attr,
			 const char *what)
{
	int32_t fd = vfio->cdev ? vfio->device : vfio->group;
	struct kvm_device_attr a = {
		.group = KVM_DEV_VFIO_FILE,
		.attr = attr,
		.addr = (uintptr_t)&fd,
	};

	if (vmm->kvm_vfio < 0) {
		struct kvm_create_device create = {
			.type = KVM_DEV_TYPE_VFIO,
		};

		if (ioctl(vmm->vm, KVM_CREATE_DEVICE, &create))
			return fail(vfio->error, errno, "KVM_CREATE_DEVICE");
		vmm->kvm_vfio = create.fd;
	}
	if (ioctl(vmm->kvm_vfio, KVM_SET_DEVICE_ATTR, &a) && what)
		return fail(vfio->error, errno, "%s", what);
	return 0;
}

int vmm_vfio_attach_kvm(struct vmm_vfio *vfio, struct vmm *vmm)
{
	return kvm_vfio_file(vfio, vmm, KVM_DEV_VFIO_FILE_ADD,
			     "KVM_DEV_VFIO_FILE_ADD");
}

int vmm_vfio_detach_kvm(struct vmm_vfio *vfio, struct vmm *vmm)
{
	return kvm_vfio_file(vfio, vmm, KVM_DEV_VFIO_FILE_DEL,
			     "KVM_DEV_VFIO_FILE_DEL");
}

int vmm_vfio_get_device(struct vmm_vfio *vfio, const char *uuid)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind), .iommufd = vfio->container,
	};
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
	};

	if (!vfio->cdev) {
		vfio->device = ioctl(vfio->group, VFIO_GROUP_GET_DEVICE_FD,
				     uuid);
		if (vfio->device < 0)
			return fail(vfio->error, errno,
				    "VFIO_GROUP_GET_DEVICE_FD %s", uuid);
		return 0;
	}
	if (ioctl(vfio->device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return fail(vfio->error, errno, "VFIO_DEVICE_BIND_IOMMUFD");
	if (ioctl(vfio->container, IOMMU_IOAS_ALLOC, &alloc))
		return fail(vfio->error, errno, "IOMMU_IOAS_ALLOC");
	vfio->ioas = alloc.out_ioas_id;
	attach.pt_id = vfio->ioas;
	if (ioctl(vfio->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		return fail(vfio->error, errno,
			    "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
	return 0;
}

int vmm_vfio_map(struct vmm_vfio *vfio, uint64_t iova, uint64_t size, void *hva)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)hva,
		.iova = iova,
		.size = size,
	};
	struct iommu_ioas_map ioas_map = {
		.size = sizeof(ioas_map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA |
			 IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = vfio->ioas,
		.user_va = (uintptr_t)hva,
		.length = size,
		.iova = iova,
	};

	if (vfio->cdev) {
		if (ioctl(vfio->container, IOMMU_IOAS_MAP, &ioas_map))
			return fail(vfio->error, errno, "IOMMU_IOAS_MAP");
	} else if (ioctl(vfio->container, VFIO_IOMMU_MAP_DMA, &map)) {
		return fail(vfio->error, errno, "VFIO_IOMMU_MAP_DMA");
	}
	return 0;
}

int vmm_vfio_unmap(struct vmm_vfio *vfio, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = iova, .size = size,
	};
	struct iommu_ioas_unmap ioas_unmap = {
		.size = sizeof(ioas_unmap),
		.ioas_id = vfio->ioas,
		.iova = iova,
		.length = size,
	};

	if (vfio->cdev) {
		if (ioctl(vfio->container, IOMMU_IOAS_UNMAP, &ioas_unmap))
			return fail(vfio->error, errno, "IOMMU_IOAS_UNMAP");
		return 0;
	}
	if (ioctl(vfio->container, VFIO_IOMMU_UNMAP_DMA, &unmap))
		return fail(vfio->error, errno, "VFIO_IOMMU_UNMAP_DMA");
	if (unmap.size != size)
		return fail(vfio->error, EIO, "%#llx of %#lx bytes unmapped",
			    unmap.size, size);
	return 0;
}

void vmm_vfio_close(struct vmm_vfio *vfio)
{
	close_fd(&vfio->device);
	close_fd(&vfio->group);
	close_fd(&vfio->container);
}

int vmm_vfio_open(struct vmm_vfio *vfio, struct vmm *vmm, const char *uuid,
		  bool cdev)
{
	int ret;

	ret = cdev ? vmm_vfio_open_cdev(vfio, uuid) :
		     vmm_vfio_open_group(vfio, uuid);
	if (ret)
		return ret;
	ret = vmm_vfio_attach_kvm(vfio, vmm);
	if (ret)
		goto close;
	ret = vmm_vfio_get_device(vfio, uuid);
	if (ret)
		goto detach;
	ret = vmm_vfio_map(vfio, 0, VMM_MEM_SIZE, vmm->mem);
	if (ret)
		goto detach;
	return 0;

detach:
	/* KVM has a reference of its own to the file. */
	kvm_vfio_file(vfio, vmm, KVM_DEV_VFIO_FILE_DEL, NULL);
close:
	vmm_vfio_close(vfio);
	return ret;
}
