/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Emulated adjunct processor hardware: adapters and domains
 *
 * The devices "ap-adapter" and "ap-domain", on the command line or plugged and
 * unplugged while the machine runs:
 *
 *   -device ap-adapter,apid=5,model=cex8,mode=cca -device ap-domain,domain=7
 *
 * A queue comes to be for every adapter and every domain that may be used.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/util.h"
#include "qapi/visitor.h"
#include "hw/qdev-properties.h"
#include "hw/s390x/ap-bridge.h"
#include "hw/s390x/ap-hw.h"
#include "migration/vmstate.h"
#include "system/tcg.h"

/* A day: longer than any test, short enough for the clock's arithmetic. */
#define AP_MAX_DELAY_MS (24 * 60 * 60 * 1000)
#define AP_UNSET UINT32_MAX

static const QEnumLookup ap_mode_lookup = {
    .array = (const char *const[]) {
        [AP_MODE_ACCELERATOR] = "accelerator",
        [AP_MODE_CCA] = "cca",
        [AP_MODE_EP11] = "ep11",
    },
    .size = AP_MODE__MAX,
};

static const QEnumLookup ap_model_lookup = {
    .array = (const char *const[]) {
        [AP_MODEL_CEX3] = "cex3",
        [AP_MODEL_CEX4] = "cex4",
        [AP_MODEL_CEX5] = "cex5",
        [AP_MODEL_CEX6] = "cex6",
        [AP_MODEL_CEX7] = "cex7",
        [AP_MODEL_CEX8] = "cex8",
    },
    .size = AP_MODEL__MAX,
};

static bool ap_device_plug(Error **errp)
{
    if (!tcg_enabled()) {
        error_setg(errp, "Emulated AP hardware needs the TCG accelerator");
        return false;
    }
    return true;
}

bool ap_delay_valid(const char *name, uint32_t value, Error **errp)
{
    if (value > AP_MAX_DELAY_MS) {
        error_setg(errp, "%s is %u, must be 0 to %u milliseconds", name, value,
                   AP_MAX_DELAY_MS);
        return false;
    }
    return true;
}

/* True, and @errp is set, if it is too late to set property @name. */
static bool ap_device_fixed(Object *obj, const char *name, Error **errp)
{
    if (DEVICE(obj)->realized) {
        error_setg(errp, "%s cannot be changed on a plugged %s", name,
                   object_get_typename(obj));
        return true;
    }
    return false;
}

/* Adapter */

static int ap_adapter_get_model(Object *obj, Error **errp)
{
    return AP_ADAPTER(obj)->model;
}

static void ap_adapter_set_model(Object *obj, int value, Error **errp)
{
    if (!ap_device_fixed(obj, "model", errp)) {
        AP_ADAPTER(obj)->model = value;
    }
}

static int ap_adapter_get_mode(Object *obj, Error **errp)
{
    return AP_ADAPTER(obj)->mode;
}

static void ap_adapter_set_mode(Object *obj, int value, Error **errp)
{
    if (!ap_device_fixed(obj, "mode", errp)) {
        AP_ADAPTER(obj)->mode = value;
    }
}

/* What an adapter's queues lose when it stops, and when it is back. */
static void ap_adapter_state_changed(APAdapter *adapter)
{
    unsigned int i;

    if (!DEVICE(adapter)->realized) {
        return;
    }
    for (i = 0; i < AP_MAX_DOMAINS; i++) {
        if (adapter->queue[i]) {
            ap_queue_clear(adapter->queue[i]);
        }
    }
    ap_hw_config_changed();
}

static bool ap_adapter_get_configured(Object *obj, Error **errp)
{
    return AP_ADAPTER(obj)->configured;
}

void ap_adapter_configure(APAdapter *adapter, bool configured)
{
    if (adapter->configured != configured) {
        adapter->configured = configured;
        ap_adapter_state_changed(adapter);
    }
}

static void ap_adapter_set_configured(Object *obj, bool value, Error **errp)
{
    ap_adapter_configure(AP_ADAPTER(obj), value);
}

static bool ap_adapter_get_checkstopped(Object *obj, Error **errp)
{
    return AP_ADAPTER(obj)->checkstopped;
}

static void ap_adapter_set_checkstopped(Object *obj, bool value, Error **errp)
{
    APAdapter *adapter = AP_ADAPTER(obj);

    if (adapter->checkstopped != value) {
        adapter->checkstopped = value;
        ap_adapter_state_changed(adapter);
    }
}

static void ap_adapter_get_delay(Object *obj, Visitor *v, const char *name,
                                 void *opaque, Error **errp)
{
    visit_type_uint32(v, name,
                      (void *)&AP_ADAPTER(obj)->delays + (uintptr_t)opaque,
                      errp);
}

static void ap_adapter_set_delay(Object *obj, Visitor *v, const char *name,
                                 void *opaque, Error **errp)
{
    APAdapter *adapter = AP_ADAPTER(obj);
    uintptr_t offset = (uintptr_t)opaque;
    uint32_t value;
    unsigned int i;

    if (!visit_type_uint32(v, name, &value, errp) ||
        !ap_delay_valid(name, value, errp)) {
        return;
    }
    *(uint32_t *)((void *)&adapter->delays + offset) = value;
    for (i = 0; i < AP_MAX_DOMAINS; i++) {
        if (adapter->queue[i]) {
            ap_queue_change_delay(adapter->queue[i], offset, value);
        }
    }
}

static void ap_adapter_realize(DeviceState *dev, Error **errp)
{
    APAdapter *adapter = AP_ADAPTER(dev);

    if (adapter->apid == AP_UNSET) {
        error_setg(errp, "apid is missing: which adapter is it?");
        return;
    }
    if (adapter->model == AP_MODEL_CEX3 && adapter->mode == AP_MODE_EP11) {
        error_setg(errp, "a cex3 has no mode ep11: use accelerator or cca");
        return;
    }
    if (adapter->queue_depth < 1 || adapter->queue_depth > 16) {
        error_setg(errp, "queue-depth is %u, must be 1 to 16",
                   adapter->queue_depth);
        return;
    }
    if (!ap_device_plug(errp)) {
        return;
    }
    if (!ap_hw_add_adapter(adapter, errp)) {
        return;
    }
    if (dev->hotplugged) {
        ap_hw_config_changed();
    }
}

static void ap_adapter_unrealize(DeviceState *dev)
{
    ap_hw_remove_adapter(AP_ADAPTER(dev));
    ap_hw_config_changed();
}

static void ap_adapter_init(Object *obj)
{
    APAdapter *adapter = AP_ADAPTER(obj);

    adapter->apid = AP_UNSET;
    adapter->model = AP_MODEL_CEX8;
    adapter->mode = AP_MODE_CCA;
    adapter->configured = true;
    adapter->delays.reset = 1;
    adapter->delays.part = 10000;
}

/* Which queues there are was loaded before, with the domains. */
static const VMStateDescription vmstate_ap_adapter = {
    .name = "ap-adapter",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(configured, APAdapter),
        VMSTATE_BOOL(checkstopped, APAdapter),
        VMSTATE_UINT32(delays.reset, APAdapter),
        VMSTATE_UINT32(delays.reply, APAdapter),
        VMSTATE_UINT32(delays.irq, APAdapter),
        VMSTATE_UINT32(delays.part, APAdapter),
        VMSTATE_INT32_EQUAL(model, APAdapter, NULL),
        VMSTATE_INT32_EQUAL(mode, APAdapter, NULL),
        VMSTATE_UINT8_EQUAL(queue_depth, APAdapter, NULL),
        VMSTATE_ARRAY_OF_POINTER_TO_STRUCT(queue, APAdapter, AP_MAX_DOMAINS, 1,
                                           vmstate_ap_queue, APQueue),
        VMSTATE_END_OF_LIST()
    }
};

static const Property ap_adapter_properties[] = {
    DEFINE_PROP_UNSIGNED_NODEFAULT("apid", APAdapter, apid, qdev_prop_uint32,
                                   uint32_t),
    DEFINE_PROP_UINT8("queue-depth", APAdapter, queue_depth, 8),
};

static void ap_adapter_class_init(ObjectClass *oc, void *data)
{
    static const struct {
        const char *name;
        uintptr_t offset;
        const char *description;
    } delays[] = {
        { "reset-time", offsetof(APDelays, reset),
          "Duration of a reset of any of its queues, in milliseconds" },
        { "reply-time", offsetof(APDelays, reply),
          "Time for processing one request, in milliseconds" },
        { "irq-time", offsetof(APDelays, irq),
          "Time that AQIC's change takes, in milliseconds" },
        { "part-time", offsetof(APDelays, part),
          "How long a queue waits for the next part of a request, in "
          "milliseconds" },
    };
    DeviceClass *dc = DEVICE_CLASS(oc);
    unsigned int i;

    dc->desc = "Emulated AP adapter (Crypto Express)";
    dc->bus_type = TYPE_AP_BUS;
    dc->realize = ap_adapter_realize;
    dc->vmsd = &vmstate_ap_adapter;
    dc->unrealize = ap_adapter_unrealize;
    dc->hotpluggable = true;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
    device_class_set_props(dc, ap_adapter_properties);
    object_class_property_set_description(oc, "apid", "Adapter ID, 0 to 255");
    object_class_property_set_description(oc, "queue-depth",
        "Requests that each queue holds, 1 to 16");
    object_class_property_add_enum(oc, "model", "APModel", &ap_model_lookup,
                                   ap_adapter_get_model, ap_adapter_set_model);
    object_class_property_set_description(oc, "model",
        "cex3 to cex8");
    object_class_property_add_enum(oc, "mode", "APMode", &ap_mode_lookup,
                                   ap_adapter_get_mode, ap_adapter_set_mode);
    object_class_property_set_description(oc, "mode",
        "accelerator, cca or ep11");
    object_class_property_add_bool(oc, "configured", ap_adapter_get_configured,
                                   ap_adapter_set_configured);
    object_class_property_set_description(oc, "configured",
        "Off: every queue answers response code 03");
    object_class_property_add_bool(oc, "checkstopped",
                                   ap_adapter_get_checkstopped,
                                   ap_adapter_set_checkstopped);
    object_class_property_set_description(oc, "checkstopped",
        "On: every queue answers response code 04");
    for (i = 0; i < ARRAY_SIZE(delays); i++) {
        object_class_property_add(oc, delays[i].name, "uint32",
                                  ap_adapter_get_delay, ap_adapter_set_delay,
                                  NULL, (void *)delays[i].offset);
        object_class_property_set_description(oc, delays[i].name,
                                              delays[i].description);
    }
}

/* Domain */

static bool ap_domain_get_usage(Object *obj, Error **errp)
{
    return AP_DOMAIN(obj)->usage;
}

static void ap_domain_set_usage(Object *obj, bool value, Error **errp)
{
    APDomain *domain = AP_DOMAIN(obj);

    if (domain->usage != value) {
        domain->usage = value;
        if (DEVICE(obj)->realized) {
            ap_hw_domain_changed(domain);
        }
    }
}

static bool ap_domain_get_control(Object *obj, Error **errp)
{
    return AP_DOMAIN(obj)->control;
}

static void ap_domain_set_control(Object *obj, bool value, Error **errp)
{
    APDomain *domain = AP_DOMAIN(obj);

    if (domain->control != value) {
        domain->control = value;
        if (DEVICE(obj)->realized) {
            ap_hw_domain_changed(domain);
        }
    }
}

static void ap_domain_realize(DeviceState *dev, Error **errp)
{
    APDomain *domain = AP_DOMAIN(dev);

    if (domain->domain == AP_UNSET) {
        error_setg(errp, "domain is missing: which domain is it?");
        return;
    }
    if (!ap_device_plug(errp)) {
        return;
    }
    if (!ap_hw_add_domain(domain, errp)) {
        return;
    }
    if (dev->hotplugged) {
        ap_hw_config_changed();
    }
}

static void ap_domain_unrealize(DeviceState *dev)
{
    ap_hw_remove_domain(AP_DOMAIN(dev));
    ap_hw_config_changed();
}

static void ap_domain_init(Object *obj)
{
    APDomain *domain = AP_DOMAIN(obj);

    domain->domain = AP_UNSET;
    domain->usage = true;
    domain->control = true;
}

static const Property ap_domain_properties[] = {
    DEFINE_PROP_UNSIGNED_NODEFAULT("domain", APDomain, domain,
                                   qdev_prop_uint32, uint32_t),
};

static void ap_domain_class_init(ObjectClass *oc, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(oc);

    dc->desc = "Emulated AP domain";
    dc->bus_type = TYPE_AP_BUS;
    dc->realize = ap_domain_realize;
    dc->unrealize = ap_domain_unrealize;
    dc->hotpluggable = true;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
    device_class_set_props(dc, ap_domain_properties);
    object_class_property_set_description(oc, "domain", "Domain, 0 to 255");
    object_class_property_add_bool(oc, "usage", ap_domain_get_usage,
                                   ap_domain_set_usage);
    object_class_property_set_description(oc, "usage",
        "On: the machine has this domain's queues");
    object_class_property_add_bool(oc, "control", ap_domain_get_control,
                                   ap_domain_set_control);
    object_class_property_set_description(oc, "control",
        "On: requests to other domains may change this one");
}

static const TypeInfo ap_adapter_types[] = {
    {
        .name = TYPE_AP_ADAPTER,
        .parent = TYPE_AP_DEVICE,
        .instance_size = sizeof(APAdapter),
        .instance_init = ap_adapter_init,
        .class_init = ap_adapter_class_init,
    },
    {
        .name = TYPE_AP_DOMAIN,
        .parent = TYPE_AP_DEVICE,
        .instance_size = sizeof(APDomain),
        .instance_init = ap_domain_init,
        .class_init = ap_domain_class_init,
    },
};

DEFINE_TYPES(ap_adapter_types)
