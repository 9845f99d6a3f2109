/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Emulated adjunct processor hardware: the machine's AP configuration
 *
 * Which adapters and domains there are, what the host is told when that
 * changes, and where interrupts go: to the host itself (notification-indicator
 * byte and adapter interruption) or to a guest (the same byte, the guest's
 * interruption state area, GISA, and when the guest is not there to see it the
 * alert list of the guest information block, GIB).
 *
 * GISA and GIB are described by what uses them: struct kvm_s390_gisa and struct
 * kvm_s390_gib in Linux, arch/s390/include/asm/kvm_host.h.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/atomic.h"
#include "qemu/main-loop.h"
#include "qemu/units.h"
#include "exec/address-spaces.h"
#include "exec/cpu-common.h"
#include "exec/memory.h"
#include "hw/hotplug.h"
#include "hw/qdev-core.h"
#include "hw/s390x/ap-bridge.h"
#include "hw/s390x/ap-hw.h"
#include "hw/s390x/css.h"
#include "hw/s390x/s390_flic.h"
#include "hw/s390x/sclp.h"
#include "system/tcg.h"
#include "migration/vmstate.h"
#include "cpu.h"
#include "tcg/sie.h"

#define TYPE_VFIO_AP_DEVICE "vfio-ap"

static struct APHw {
    /* Parent of all queues, set when the first device is plugged. */
    Object *bridge;
    uint32_t max_apid;
    uint32_t max_domain;
    bool extended;
    APAdapter *adapter[AP_MAX_ADAPTERS];
    APDomain *domain[AP_MAX_DOMAINS];
    uint64_t apm[AP_MASK_WORDS];
    uint64_t aqm[AP_MASK_WORDS];
    uint64_t adm[AP_MASK_WORDS];
    /* What the messages in all queues have, and what they may have. */
    uint64_t message_bytes;
    uint64_t max_message_bytes;
    /* Store-event-information has something to say about AP. */
    bool event;
    /* Host absolute address of the GIB, 0: none. */
    uint32_t gib;
} ap_hw = {
    .max_apid = AP_MAX_ADAPTERS - 1,
    .max_domain = AP_MAX_DOMAINS - 1,
    .extended = true,
    .max_message_bytes = 64 * MiB,
};

unsigned int ap_hw_max_apid(void)
{
    return ap_hw.extended ? ap_hw.max_apid :
           MIN(ap_hw.max_apid, AP_MAX_APID_BASE);
}

unsigned int ap_hw_max_domain(void)
{
    return ap_hw.extended ? ap_hw.max_domain :
           MIN(ap_hw.max_domain, AP_MAX_DOMAIN_BASE);
}

bool ap_hw_extended(void)
{
    return ap_hw.extended;
}

APQueue *ap_hw_queue(unsigned int apid, unsigned int apqi)
{
    APAdapter *adapter;

    if (apid >= AP_MAX_ADAPTERS || apqi >= AP_MAX_DOMAINS) {
        return NULL;
    }
    adapter = ap_hw.adapter[apid];
    return adapter ? adapter->queue[apqi] : NULL;
}

bool ap_hw_is_usage_domain(unsigned int domain)
{
    return domain < AP_MAX_DOMAINS && ap_mask_test(ap_hw.aqm, domain);
}

bool ap_hw_is_control_domain(unsigned int domain)
{
    return domain < AP_MAX_DOMAINS && ap_mask_test(ap_hw.adm, domain);
}

void ap_hw_masks(uint64_t apm[AP_MASK_WORDS], uint64_t aqm[AP_MASK_WORDS],
                 uint64_t adm[AP_MASK_WORDS])
{
    memcpy(apm, ap_hw.apm, sizeof(ap_hw.apm));
    memcpy(aqm, ap_hw.aqm, sizeof(ap_hw.aqm));
    memcpy(adm, ap_hw.adm, sizeof(ap_hw.adm));
}

/* Rebuild what QCI shows. */
static void ap_hw_update_masks(void)
{
    unsigned int i;

    memset(ap_hw.apm, 0, sizeof(ap_hw.apm));
    memset(ap_hw.aqm, 0, sizeof(ap_hw.aqm));
    memset(ap_hw.adm, 0, sizeof(ap_hw.adm));
    for (i = 0; i < AP_MAX_ADAPTERS; i++) {
        if (ap_hw.adapter[i]) {
            ap_mask_set(ap_hw.apm, i);
        }
    }
    for (i = 0; i < AP_MAX_DOMAINS; i++) {
        if (ap_hw.domain[i] && ap_hw.domain[i]->usage) {
            ap_mask_set(ap_hw.aqm, i);
        }
        if (ap_hw.domain[i] && ap_hw.domain[i]->control) {
            ap_mask_set(ap_hw.adm, i);
        }
    }
}

static void ap_hw_queue_name(char *name, size_t size, unsigned int apid,
                             unsigned int apqi)
{
    snprintf(name, size, "%02x.%04x", apid, apqi);
}

static void ap_hw_add_queue(APAdapter *adapter, unsigned int apqi)
{
    char name[16];
    APQueue *queue = ap_queue_new(adapter, apqi);

    ap_hw_queue_name(name, sizeof(name), adapter->apid, apqi);
    object_property_add_child(ap_hw.bridge, name, OBJECT(queue));
    /* The bridge owns it now. */
    object_unref(OBJECT(queue));
    adapter->queue[apqi] = queue;
}

static void ap_hw_remove_queue(APAdapter *adapter, unsigned int apqi)
{
    APQueue *queue = adapter->queue[apqi];

    adapter->queue[apqi] = NULL;
    if (queue) {
        ap_queue_clear(queue);
        queue->adapter = NULL;
        object_unparent(OBJECT(queue));
    }
}

static void ap_hw_first_device(void);

bool ap_hw_add_adapter(APAdapter *adapter, Error **errp)
{
    unsigned int i;
    char name[16];

    ap_hw_first_device();
    if (adapter->apid > ap_hw_max_apid()) {
        error_setg(errp, "Adapter %u is out of range: this machine's adapters "
                   "are 0 to %u", adapter->apid, ap_hw_max_apid());
        return false;
    }
    if (ap_hw.adapter[adapter->apid]) {
        error_setg(errp, "There is an adapter %u (0x%02x) already",
                   adapter->apid, adapter->apid);
        return false;
    }
    ap_hw.adapter[adapter->apid] = adapter;
    snprintf(name, sizeof(name), "card%02x", adapter->apid);
    object_property_add_const_link(ap_hw.bridge, name, OBJECT(adapter));
    for (i = 0; i < AP_MAX_DOMAINS; i++) {
        if (ap_hw_is_usage_domain(i)) {
            ap_hw_add_queue(adapter, i);
        }
    }
    ap_hw_update_masks();
    return true;
}

void ap_hw_remove_adapter(APAdapter *adapter)
{
    unsigned int i;
    char name[16];

    for (i = 0; i < AP_MAX_DOMAINS; i++) {
        ap_hw_remove_queue(adapter, i);
    }
    snprintf(name, sizeof(name), "card%02x", adapter->apid);
    object_property_del(ap_hw.bridge, name);
    ap_hw.adapter[adapter->apid] = NULL;
    ap_hw_update_masks();
}

/* Make the queues of a domain what its usage attribute says. */
static void ap_hw_update_queues(unsigned int apqi)
{
    bool usage = ap_hw.domain[apqi] && ap_hw.domain[apqi]->usage;
    unsigned int i;

    for (i = 0; i < AP_MAX_ADAPTERS; i++) {
        APAdapter *adapter = ap_hw.adapter[i];

        if (!adapter || usage == !!adapter->queue[apqi]) {
            continue;
        }
        if (usage) {
            ap_hw_add_queue(adapter, apqi);
        } else {
            ap_hw_remove_queue(adapter, apqi);
        }
    }
}

bool ap_hw_add_domain(APDomain *domain, Error **errp)
{
    char name[16];

    ap_hw_first_device();
    if (domain->domain > ap_hw_max_domain()) {
        error_setg(errp, "Domain %u is out of range: this machine's domains "
                   "are 0 to %u", domain->domain, ap_hw_max_domain());
        return false;
    }
    if (ap_hw.domain[domain->domain]) {
        error_setg(errp, "There is a domain %u (0x%04x) already",
                   domain->domain, domain->domain);
        return false;
    }
    ap_hw.domain[domain->domain] = domain;
    snprintf(name, sizeof(name), "domain%04x", domain->domain);
    object_property_add_const_link(ap_hw.bridge, name, OBJECT(domain));
    ap_hw_update_queues(domain->domain);
    ap_hw_update_masks();
    return true;
}

void ap_hw_remove_domain(APDomain *domain)
{
    char name[16];

    ap_hw.domain[domain->domain] = NULL;
    ap_hw_update_queues(domain->domain);
    snprintf(name, sizeof(name), "domain%04x", domain->domain);
    object_property_del(ap_hw.bridge, name);
    ap_hw_update_masks();
}

void ap_hw_domain_changed(APDomain *domain)
{
    ap_hw_update_queues(domain->domain);
    ap_hw_update_masks();
    ap_hw_config_changed();
}

/* Migration: both machines have the same adapters and domains. */

static int ap_hw_post_load(void *opaque, int version_id)
{
    const uint64_t aqm[AP_MASK_WORDS] = {
        ap_hw.aqm[0], ap_hw.aqm[1], ap_hw.aqm[2], ap_hw.aqm[3]
    };
    const uint64_t adm[AP_MASK_WORDS] = {
        ap_hw.adm[0], ap_hw.adm[1], ap_hw.adm[2], ap_hw.adm[3]
    };
    unsigned int i;

    for (i = 0; i < AP_MAX_DOMAINS; i++) {
        APDomain *domain = ap_hw.domain[i];

        if (domain) {
            domain->usage = ap_mask_test(aqm, i);
            domain->control = ap_mask_test(adm, i);
            ap_hw_update_queues(i);
        }
    }
    ap_hw_update_masks();
    return memcmp(ap_hw.aqm, aqm, sizeof(aqm)) ||
           memcmp(ap_hw.adm, adm, sizeof(adm)) ? -EINVAL : 0;
}

static const VMStateDescription vmstate_ap_hw = {
    .name = "ap-hw",
    .version_id = 1,
    .minimum_version_id = 1,
    .post_load = ap_hw_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64_ARRAY(apm, struct APHw, AP_MASK_WORDS),
        VMSTATE_UINT64_ARRAY(aqm, struct APHw, AP_MASK_WORDS),
        VMSTATE_UINT64_ARRAY(adm, struct APHw, AP_MASK_WORDS),
        VMSTATE_BOOL(event, struct APHw),
        VMSTATE_UINT32(gib, struct APHw),
        VMSTATE_END_OF_LIST()
    }
};

/* What all devices have in common is loaded before what is a device's own. */
static void ap_hw_first_device(void)
{
    static bool registered;

    if (!registered) {
        vmstate_register(NULL, 0, &vmstate_ap_hw, &ap_hw);
        registered = true;
    }
}

char *ap_hw_dev_path(DeviceState *dev)
{
    Object *obj = OBJECT(dev);

    if (object_dynamic_cast(obj, TYPE_AP_ADAPTER)) {
        return g_strdup_printf("/1/%02x", AP_ADAPTER(dev)->apid);
    }
    if (object_dynamic_cast(obj, TYPE_AP_DOMAIN)) {
        return g_strdup_printf("/1/%04x", AP_DOMAIN(dev)->domain);
    }
    /* vfio-ap: at most one */
    return g_strdup_printf("/1");
}

/* Memory for messages */

void ap_hw_count_message(int64_t bytes)
{
    ap_hw.message_bytes += bytes;
}

bool ap_hw_message_room(uint64_t bytes)
{
    return ap_hw.message_bytes + bytes <= ap_hw.max_message_bytes;
}

/* Interrupts */

bool ap_hw_storage_ok(uint64_t addr, size_t size)
{
    hwaddr xlat, len = size;
    MemoryRegion *mr;

    if (addr + size < addr) {
        return false;
    }
    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(&address_space_memory, addr, &xlat, &len,
                                 true, MEMTXATTRS_UNSPECIFIED);
    return memory_region_is_ram(mr) && !mr->readonly && len >= size;
}

/* Storage that CPUs may change at the same time; NULL if there is none. */
static void *ap_hw_map(uint64_t addr, size_t size)
{
    hwaddr len = size;
    void *host;

    if (!ap_hw_storage_ok(addr, size)) {
        return NULL;
    }
    host = address_space_map(&address_space_memory, addr, &len, true,
                             MEMTXATTRS_UNSPECIFIED);
    if (host && len < size) {
        address_space_unmap(&address_space_memory, host, len, true, 0);
        return NULL;
    }
    return host;
}

static void ap_hw_unmap(void *host, size_t size)
{
    address_space_unmap(&address_space_memory, host, size, true, size);
}

/*
 * An adapter interruption of the host. There is one pending per interruption
 * subclass at most, however many events it stands for.
 */
static void ap_hw_adapter_interruption(uint8_t isc)
{
    QEMUS390FLICState *flic = s390_get_qemu_flic(s390_get_flic());
    uint32_t word = (isc << 27) | IO_INT_WORD_AI;
    QEMUS390FlicIO *io;

    QLIST_FOREACH(io, &flic->io[isc], next) {
        if (!io->id && !io->nr && io->word == word) {
            return;
        }
    }
    s390_io_interrupt(0, 0, 0, word);
}

/* First doubleword of a GISA of any format. */
#define GISA_NEXT_ALERT(word) ((uint32_t)((word) >> 32))
#define GISA_IPM(gisc) ((uint64_t)(0x80 >> (gisc)) << 24)
#define GISA_IAM(gisc) ((uint64_t)(0x80 >> (gisc)))
#define GISA_IAM_MASK 0xffull
/* Origin of the GIB's alert list: nothing there, but do not interrupt. */
#define GIB_NONE 1
#define GIB_NISC_OFFSET 8

/*
 * Put a GISA, which the caller has just taken out of the host's hands (its
 * next-alert address is not its own any more), at the head of the alert list.
 */
static void ap_hw_gisa_alert(uint64_t *gisa_word, uint64_t gisa)
{
    uint8_t *gib = ap_hw_map(ap_hw.gib, 12);
    uint32_t *origin = (uint32_t *)gib;
    uint32_t head, seen;
    uint8_t nisc;

    if (!gib) {
        return;
    }
    head = qatomic_read(origin);
    for (;;) {
        /* Nobody else writes this part of a GISA that is in no list yet. */
        qatomic_set((uint32_t *)gisa_word, head);
        seen = qatomic_cmpxchg(origin, head, cpu_to_be32(gisa));
        if (seen == head) {
            break;
        }
        head = seen;
    }
    nisc = gib[GIB_NISC_OFFSET] & 7;
    ap_hw_unmap(gib, 12);
    if (!head) {
        ap_hw_adapter_interruption(nisc);
    }
}

static void ap_hw_gisa_interrupt(uint64_t gisa, uint8_t gisc)
{
    uint64_t *word = ap_hw_map(gisa, sizeof(*word));
    uint64_t old, new, seen;
    bool alert;

    if (!word) {
        return;
    }
    old = qatomic_read(word);
    for (;;) {
        new = be64_to_cpu(old);
        alert = ap_hw.gib && (new & GISA_IAM(gisc)) &&
                GISA_NEXT_ALERT(new) == gisa;
        new |= GISA_IPM(gisc);
        if (alert) {
            /* The host restores the mask when it has seen the alert. */
            new &= ~GISA_IAM_MASK;
            new = deposit64(new, 32, 32, GIB_NONE);
        }
        seen = qatomic_cmpxchg(word, old, cpu_to_be64(new));
        if (seen == old) {
            break;
        }
        old = seen;
    }
    if (alert) {
        ap_hw_gisa_alert(word, gisa);
    }
    ap_hw_unmap(word, sizeof(*word));
    s390_sie_gisa_kick(gisa);
}

void ap_hw_interrupt(const APInterrupt *irq)
{
    uint8_t *nib = ap_hw_map(irq->nib, 1);

    if (!nib) {
        return;
    }
    qatomic_set(nib, 1);
    ap_hw_unmap(nib, 1);
    if (irq->gisa) {
        ap_hw_gisa_interrupt(irq->gisa, irq->gisc);
    } else {
        ap_hw_adapter_interruption(irq->isc);
    }
}

/* CHSC */

/*
 * Set guest information block. The request: halfword 2 is the operation (1),
 * byte 8's right half the format (0), word 5 the GIB's origin (0: none).
 */
uint16_t ap_hw_chsc_sgib(const uint8_t *request, uint16_t len)
{
    uint32_t origin;

    if (!s390_has_feat(S390_FEAT_AP_QUEUE_INTERRUPT_CONTROL)) {
        return 0x0004;
    }
    if (len != 0x0fe0 || lduw_be_p(request + 4) != 1) {
        return 0x0003;
    }
    if (request[8] & 0x0f) {
        return 0x0007;
    }
    origin = ldl_be_p(request + 20);
    if (origin && (origin & 0x8000001f || !ap_hw_storage_ok(origin, 32))) {
        return 0x0003;
    }
    ap_hw.gib = origin;
    return 0x0001;
}

/* SCLP */

bool ap_hw_emulated(void)
{
    return tcg_enabled() && s390_has_feat(S390_FEAT_AP);
}

/* What an operating system or the console does to an adapter */
uint16_t ap_hw_sclp_configure(unsigned int apid, bool configure)
{
    APAdapter *adapter;

    if (!ap_hw_emulated()) {
        return SCLP_RC_INVALID_SCLP_COMMAND;
    }
    adapter = apid < AP_MAX_ADAPTERS ? ap_hw.adapter[apid] : NULL;
    if (!adapter) {
        return SCLP_RC_ADAPTER_ID_NOT_RECOGNIZED;
    }
    if (adapter->configured == configure) {
        return SCLP_RC_NO_ACTION_REQUIRED;
    }
    ap_adapter_configure(adapter, configure);
    return SCLP_RC_NORMAL_COMPLETION;
}

void ap_hw_config_changed(void)
{
    ap_hw.event = true;
    css_generate_css_crws(0);
}

int ap_hw_sei_nt0_have_event(void)
{
    return ap_hw.event;
}

/* struct chsc_sei_nt0_area in Linux, drivers/s390/cio/chsc.c. */
int ap_hw_sei_nt0_get_event(void *response)
{
    uint8_t *res = response;

    if (!ap_hw.event) {
        return 1;
    }
    ap_hw.event = false;
    memset(res, 0, 32);
    stw_be_p(res, 32);      /* length; the code is the caller's */
    res[10] = 5;            /* reporting source: AP */
    res[11] = 3;            /* content code: AP configuration changed */
    return 0;
}

/* The bridge */

static void ap_hw_reset(DeviceState *dev)
{
    unsigned int apid, apqi;

    ap_hw.gib = 0;
    ap_hw.event = false;
    for (apid = 0; apid < AP_MAX_ADAPTERS; apid++) {
        for (apqi = 0; apqi < AP_MAX_DOMAINS; apqi++) {
            APQueue *queue = ap_hw_queue(apid, apqi);

            if (queue) {
                ap_queue_clear(queue);
            }
        }
    }
}

static bool ap_hw_is_passthrough(DeviceState *dev)
{
    return object_dynamic_cast(OBJECT(dev), TYPE_VFIO_AP_DEVICE);
}

/* A machine has emulated hardware, or the host's: vfio-ap, and that once. */
static void ap_hw_pre_plug(HotplugHandler *handler, DeviceState *dev,
                           Error **errp)
{
    BusState *bus = qdev_get_parent_bus(dev);
    BusChild *child;

    QTAILQ_FOREACH(child, &bus->children, sibling) {
        if (child->child != dev && (ap_hw_is_passthrough(dev) ||
                                    ap_hw_is_passthrough(child->child))) {
            error_setg(errp, "%s and %s exclude each other on the AP bus",
                       object_get_typename(OBJECT(dev)),
                       object_get_typename(OBJECT(child->child)));
            return;
        }
    }
    ap_hw.bridge = OBJECT(handler);
}

static void ap_hw_get_max(Object *obj, Visitor *v, const char *name,
                          void *opaque, Error **errp)
{
    visit_type_uint32(v, name, opaque, errp);
}

static void ap_hw_set_max(Object *obj, Visitor *v, const char *name,
                          void *opaque, Error **errp)
{
    uint32_t value;

    if (DEVICE(obj)->realized) {
        error_setg(errp, "%s cannot be changed on a running machine", name);
        return;
    }
    if (!visit_type_uint32(v, name, &value, errp)) {
        return;
    }
    if (value > 255) {
        error_setg(errp, "%s is %u, must be 0 to 255", name, value);
        return;
    }
    *(uint32_t *)opaque = value;
}

static void ap_hw_message_memory(Object *obj, Visitor *v, const char *name,
                                 void *opaque, Error **errp)
{
    visit_type_size(v, name, &ap_hw.max_message_bytes, errp);
}

static bool ap_hw_get_extended(Object *obj, Error **errp)
{
    return ap_hw.extended;
}

static void ap_hw_set_extended(Object *obj, bool value, Error **errp)
{
    if (DEVICE(obj)->realized) {
        error_setg(errp, "apxa cannot be changed on a running machine");
        return;
    }
    ap_hw.extended = value;
}

void ap_hw_bridge_class_init(ObjectClass *oc)
{
    DeviceClass *dc = DEVICE_CLASS(oc);
    HotplugHandlerClass *hc = HOTPLUG_HANDLER_CLASS(oc);

    hc->pre_plug = ap_hw_pre_plug;
    device_class_set_legacy_reset(dc, ap_hw_reset);
    object_class_property_add(oc, "max-adapter-id", "uint32", ap_hw_get_max,
                              ap_hw_set_max, NULL, &ap_hw.max_apid);
    object_class_property_set_description(oc, "max-adapter-id",
        "Highest APID that the machine could have, 0 to 255");
    object_class_property_add(oc, "max-domain-id", "uint32", ap_hw_get_max,
                              ap_hw_set_max, NULL, &ap_hw.max_domain);
    object_class_property_set_description(oc, "max-domain-id",
        "Highest domain that the machine could have, 0 to 255");
    object_class_property_add(oc, "message-memory", "size",
                              ap_hw_message_memory, ap_hw_message_memory, NULL,
                              NULL);
    object_class_property_set_description(oc, "message-memory",
        "Memory for messages, beyond which only empty queues take a request");
    object_class_property_add_bool(oc, "apxa", ap_hw_get_extended,
                                   ap_hw_set_extended);
    object_class_property_set_description(oc, "apxa",
        "Extended addressing: more than 64 adapters and 16 domains");
}
