/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Emulated adjunct processor hardware: one queue
 *
 * A queue takes up to its depth of requests, works on them one after the other
 * and keeps the replies until the program takes them. Resets, replies and
 * changes of the interrupt control take time; what the times are, and what a
 * function answers instead of what it would, can be set through QOM while the
 * machine runs.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"
#include "qemu/units.h"
#include "hw/s390x/ap-hw.h"
#include "migration/qemu-file-types.h"

static const char *const ap_function_property[AP_FUNCTION__MAX] = {
    [AP_FUNCTION_TAPQ] = "force-tapq",
    [AP_FUNCTION_RAPQ] = "force-rapq",
    [AP_FUNCTION_ZAPQ] = "force-zapq",
    [AP_FUNCTION_AQIC] = "force-aqic",
    [AP_FUNCTION_QACT] = "force-qact",
    [AP_FUNCTION_NQAP] = "force-nqap",
    [AP_FUNCTION_DQAP] = "force-dqap",
};

static int64_t ap_queue_expiry(uint32_t delay_ms)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + (int64_t)delay_ms * SCALE_MS;
}

/* Messages */

static void ap_message_drop_bytes(GByteArray **bytes)
{
    if (*bytes) {
        ap_hw_count_message(-(int64_t)(*bytes)->len);
        g_byte_array_unref(*bytes);
        *bytes = NULL;
    }
}

static void ap_message_free(APMessageList *list, APMessage *message)
{
    QTAILQ_REMOVE(list, message, next);
    ap_message_drop_bytes(&message->data);
    ap_message_drop_bytes(&message->reply);
    g_free(message);
}

static void ap_queue_flush(APQueue *queue)
{
    APMessage *message, *tmp;

    QTAILQ_FOREACH_SAFE(message, &queue->requests, next, tmp) {
        ap_message_free(&queue->requests, message);
    }
    QTAILQ_FOREACH_SAFE(message, &queue->replies, next, tmp) {
        ap_message_free(&queue->replies, message);
    }
    queue->nr_requests = 0;
    queue->nr_replies = 0;
    timer_del(&queue->reply_timer);
    timer_del(&queue->part_timer);
}

bool ap_queue_full(const APQueue *queue)
{
    return queue->nr_requests + queue->nr_replies >=
           queue->adapter->queue_depth;
}

size_t ap_queue_max_message(const APQueue *queue)
{
    return queue->adapter->model >= AP_MODEL_CEX8 &&
           queue->adapter->mode != AP_MODE_ACCELERATOR ? 24 * KiB : 12 * KiB;
}

APMessage *ap_queue_partial(APQueue *queue, uint64_t psmid)
{
    APMessage *message;

    QTAILQ_FOREACH_REVERSE(message, &queue->requests, next) {
        if (message->partial && message->psmid == psmid) {
            return message;
        }
    }
    return NULL;
}

bool ap_queue_room(const APQueue *queue, const APMessage *message, size_t len)
{
    const unsigned int others = queue->nr_requests + queue->nr_replies -
                                (message ? 1 : 0);

    return !others || ap_hw_message_room(len);
}

/* Drop what waits for its next part in vain, and wait for the others. */
static void ap_queue_part_due(void *opaque)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    int64_t next = INT64_MAX;
    APQueue *queue = opaque;
    APMessage *message, *tmp;

    QTAILQ_FOREACH_SAFE(message, &queue->requests, next, tmp) {
        if (!message->partial) {
            continue;
        }
        if (message->deadline <= now) {
            ap_queue_drop(queue, message);
        } else {
            next = MIN(next, message->deadline);
        }
    }
    if (next != INT64_MAX) {
        timer_mod_ns(&queue->part_timer, next);
    }
}

APMessage *ap_queue_add_part(APQueue *queue, APMessage *message,
                             uint64_t psmid, const uint8_t *data, size_t len)
{
    if (!message) {
        message = g_new0(APMessage, 1);
        message->psmid = psmid;
        message->partial = true;
        message->data = g_byte_array_new();
        QTAILQ_INSERT_TAIL(&queue->requests, message, next);
        queue->nr_requests++;
    }
    g_byte_array_append(message->data, data, len);
    ap_hw_count_message(len);
    message->deadline = ap_queue_expiry(queue->delays.part);
    if (!timer_pending(&queue->part_timer)) {
        timer_mod_ns(&queue->part_timer, message->deadline);
    }
    return message;
}

void ap_queue_drop(APQueue *queue, APMessage *message)
{
    ap_message_free(&queue->requests, message);
    queue->nr_requests--;
}

static APMessage *ap_queue_next_request(APQueue *queue)
{
    APMessage *message;

    QTAILQ_FOREACH(message, &queue->requests, next) {
        if (message->reply) {
            return message;
        }
    }
    return NULL;
}

static void ap_queue_work(APQueue *queue)
{
    if (!timer_pending(&queue->reply_timer) && ap_queue_next_request(queue)) {
        timer_mod_ns(&queue->reply_timer,
                     ap_queue_expiry(queue->delays.reply));
    }
}

static void ap_queue_reply_due(void *opaque)
{
    APQueue *queue = opaque;
    APMessage *message = ap_queue_next_request(queue);

    if (!message) {
        return;
    }
    QTAILQ_REMOVE(&queue->requests, message, next);
    queue->nr_requests--;
    message->data = message->reply;
    message->reply = NULL;
    QTAILQ_INSERT_TAIL(&queue->replies, message, next);
    queue->nr_replies++;
    ap_queue_work(queue);
    if (queue->irq_enabled) {
        queue->interrupt_count++;
        ap_hw_interrupt(&queue->irq);
    }
}

void ap_queue_submit(APQueue *queue, GByteArray *request, GByteArray *reply)
{
    APMessage *message;

    QTAILQ_FOREACH(message, &queue->requests, next) {
        if (message->data == request) {
            ap_message_drop_bytes(&message->data);
            message->reply = g_byte_array_ref(reply);
            ap_hw_count_message(reply->len);
            queue->request_count++;
            ap_queue_work(queue);
            return;
        }
    }
    /* A reset came in between and took the request with it. */
}

APMessage *ap_queue_first_reply(APQueue *queue)
{
    return QTAILQ_FIRST(&queue->replies);
}

void ap_queue_remove_reply(APQueue *queue, APMessage *message)
{
    ap_message_free(&queue->replies, message);
    queue->nr_replies--;
}

/* Status and state */

uint32_t ap_queue_status(const APQueue *queue, uint8_t rc)
{
    uint32_t status = AP_STATUS_RC(rc);

    if (!queue->nr_requests && !queue->nr_replies) {
        status |= AP_STATUS_EMPTY;
    }
    if (queue->nr_replies) {
        status |= AP_STATUS_REPLIES;
    }
    if (ap_queue_full(queue)) {
        status |= AP_STATUS_FULL;
    }
    if (queue->irq_enabled) {
        status |= AP_STATUS_IRQ;
    }
    return status;
}

bool ap_queue_refuses(APQueue *queue, APFunction function, uint32_t *status)
{
    APForcedResponse *forced = &queue->forced[function];
    uint8_t rc;

    if (forced->active) {
        rc = forced->rc;
        if (forced->count && !--forced->count) {
            forced->active = false;
        }
        *status = ap_queue_status(queue, rc);
        return true;
    }
    if (!queue->adapter->configured) {
        rc = AP_RC_DECONFIGURED;
    } else if (queue->adapter->checkstopped) {
        rc = AP_RC_CHECKSTOPPED;
    } else if (queue->in_reset) {
        rc = AP_RC_RESET_IN_PROGRESS;
    } else {
        rc = AP_RC_NORMAL;
    }
    *status = ap_queue_status(queue, rc);
    return rc != AP_RC_NORMAL;
}

/* The type as TAPQ has it: 10 for CEX4, 11 for CEX5 and so on. */
static uint8_t ap_adapter_type(const APAdapter *adapter)
{
    if (adapter->model == AP_MODEL_CEX3) {
        return adapter->mode == AP_MODE_ACCELERATOR ? 8 : 9;
    }
    return 10 + adapter->model - AP_MODEL_CEX4;
}

/* GR2 of TAPQ, struct ap_tapq_hwinfo in Linux. */
static uint64_t ap_queue_info(const APQueue *queue, bool facilities)
{
    static const uint32_t facility_bits[AP_MODE__MAX] = {
        /* RSA of 4096 bits with modulus and exponent, and with CRT */
        [AP_MODE_ACCELERATOR] = 0x68000000,
        /* special commands */
        [AP_MODE_CCA] = 0x90000000,
        [AP_MODE_EP11] = 0x84000000,
    };
    const APAdapter *adapter = queue->adapter;
    uint64_t info = 0;

    if (facilities) {
        info = (uint64_t)(facility_bits[adapter->mode] | 0x02000000) << 32;
    }
    info |= (uint64_t)ap_adapter_type(adapter) << 24;
    info |= ap_hw_max_domain() << 16;
    /* Adapters that do not tell take 12 KiB. */
    if (ap_queue_max_message(queue) != 12 * KiB) {
        info |= (ap_queue_max_message(queue) / (4 * KiB)) << 8;
    }
    info |= adapter->queue_depth - 1;
    return info;
}

uint32_t ap_queue_tapq(APQueue *queue, bool facilities, uint64_t *info)
{
    uint32_t status;

    ap_queue_refuses(queue, AP_FUNCTION_TAPQ, &status);
    *info = ap_queue_info(queue, facilities);
    return status;
}

/*
 * Query AP compatibility type. GR1: bits 3-5 the mode (TAPQ's facility bits 3
 * to 5), bits 32-39 the newest type that the program knows. GR2: the same with
 * the type as which the program may drive the adapter.
 */
uint32_t ap_queue_qact(APQueue *queue, uint64_t request, uint64_t *info)
{
    uint64_t mode = extract64(ap_queue_info(queue, true), 58, 3);
    uint8_t type = ap_adapter_type(queue->adapter);
    uint32_t status;

    *info = 0;
    if (ap_queue_refuses(queue, AP_FUNCTION_QACT, &status)) {
        return status;
    }
    if (extract64(request, 58, 3) == mode) {
        *info = deposit64(*info, 58, 3, mode);
        *info = deposit64(*info, 24, 8, MIN(type, extract64(request, 24, 8)));
    }
    return status;
}

static void ap_queue_stop_irq(APQueue *queue)
{
    queue->irq_enabled = false;
    queue->irq_changing = false;
    timer_del(&queue->irq_timer);
}

void ap_queue_clear(APQueue *queue)
{
    ap_queue_flush(queue);
    ap_queue_stop_irq(queue);
    queue->in_reset = false;
    timer_del(&queue->reset_timer);
}

static void ap_queue_reset_done(void *opaque)
{
    APQueue *queue = opaque;

    queue->in_reset = false;
}

/* RAPQ and ZAPQ: the emulated domains hold no keys that ZAPQ could zeroize. */
uint32_t ap_queue_reset(APQueue *queue, APFunction function)
{
    uint32_t status;

    if (ap_queue_refuses(queue, function, &status)) {
        return status;
    }
    ap_queue_flush(queue);
    ap_queue_stop_irq(queue);
    queue->reset_count++;
    if (queue->delays.reset) {
        queue->in_reset = true;
        timer_mod_ns(&queue->reset_timer,
                     ap_queue_expiry(queue->delays.reset));
    }
    return ap_queue_status(queue, AP_RC_NORMAL);
}

static void ap_queue_irq_done(void *opaque)
{
    APQueue *queue = opaque;

    queue->irq_changing = false;
    queue->irq_enabled = queue->irq_target;
}

uint32_t ap_queue_aqic(APQueue *queue, bool enable, const APInterrupt *irq)
{
    uint32_t status;

    if (ap_queue_refuses(queue, AP_FUNCTION_AQIC, &status)) {
        return status;
    }
    if (queue->irq_changing) {
        return ap_queue_status(queue, AP_RC_BUSY);
    }
    if (enable == queue->irq_enabled) {
        return ap_queue_status(queue, AP_RC_OTHERWISE_CHANGED);
    }
    if (enable) {
        if (!irq->nib || !ap_hw_storage_ok(irq->nib, 1)) {
            return ap_queue_status(queue, AP_RC_INVALID_ADDRESS);
        }
        /* A GISA of format 0 has 16 bytes, one of format 1 has 32. */
        if (irq->gisa && (irq->gisa_format > 1 ||
                          irq->gisa & (irq->gisa_format ? 31 : 15) ||
                          !ap_hw_storage_ok(irq->gisa,
                                            irq->gisa_format ? 32 : 16))) {
            return ap_queue_status(queue, AP_RC_INVALID_GISA);
        }
        queue->irq = *irq;
    }
    queue->irq_target = enable;
    if (queue->delays.irq) {
        queue->irq_changing = true;
        timer_mod_ns(&queue->irq_timer, ap_queue_expiry(queue->delays.irq));
    } else {
        queue->irq_enabled = enable;
    }
    return ap_queue_status(queue, AP_RC_NORMAL);
}

/* Migration */

/* Neither a request nor a reply is longer. */
#define AP_MAX_BYTES (64 * KiB)
#define AP_NO_BYTES UINT32_MAX

static int ap_bytes_get(QEMUFile *f, void *pv, size_t size,
                        const VMStateField *field)
{
    uint32_t len = qemu_get_be32(f);
    GByteArray **bytes = pv;

    *bytes = NULL;
    if (len == AP_NO_BYTES) {
        return 0;
    }
    if (len > AP_MAX_BYTES) {
        return -EINVAL;
    }
    *bytes = g_byte_array_new();
    g_byte_array_set_size(*bytes, len);
    ap_hw_count_message(len);
    return qemu_get_buffer(f, (*bytes)->data, len) == len ? 0 : -EIO;
}

static int ap_bytes_put(QEMUFile *f, void *pv, size_t size,
                        const VMStateField *field, JSONWriter *vmdesc)
{
    GByteArray **bytes = pv;

    qemu_put_be32(f, *bytes ? (*bytes)->len : AP_NO_BYTES);
    if (*bytes) {
        qemu_put_buffer(f, (*bytes)->data, (*bytes)->len);
    }
    return 0;
}

static const VMStateInfo ap_bytes_info = {
    .name = "bytes",
    .get = ap_bytes_get,
    .put = ap_bytes_put,
};

static const VMStateDescription vmstate_ap_message = {
    .name = "ap-message",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(psmid, APMessage),
        VMSTATE_SINGLE(data, APMessage, 0, ap_bytes_info, GByteArray *),
        VMSTATE_SINGLE(reply, APMessage, 0, ap_bytes_info, GByteArray *),
        VMSTATE_UINT64(taken, APMessage),
        VMSTATE_BOOL(partial, APMessage),
        VMSTATE_INT64(deadline, APMessage),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_ap_forced_response = {
    .name = "ap-forced-response",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(active, APForcedResponse),
        VMSTATE_UINT8(rc, APForcedResponse),
        VMSTATE_UINT64(count, APForcedResponse),
        VMSTATE_END_OF_LIST()
    }
};

static int ap_queue_pre_load(void *opaque)
{
    ap_queue_clear(opaque);
    return 0;
}

static int ap_queue_post_load(void *opaque, int version_id)
{
    APQueue *queue = opaque;
    APMessage *message;

    queue->nr_requests = 0;
    QTAILQ_FOREACH(message, &queue->requests, next) {
        if (!message->data == !message->reply) {
            return -EINVAL;
        }
        queue->nr_requests++;
    }
    queue->nr_replies = 0;
    QTAILQ_FOREACH(message, &queue->replies, next) {
        if (!message->data || message->taken > message->data->len) {
            return -EINVAL;
        }
        queue->nr_replies++;
    }
    return 0;
}

const VMStateDescription vmstate_ap_queue = {
    .name = "ap-queue",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_load = ap_queue_pre_load,
    .post_load = ap_queue_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(delays.reset, APQueue),
        VMSTATE_UINT32(delays.reply, APQueue),
        VMSTATE_UINT32(delays.irq, APQueue),
        VMSTATE_UINT32(delays.part, APQueue),
        VMSTATE_STRUCT_ARRAY(forced, APQueue, AP_FUNCTION__MAX, 1,
                             vmstate_ap_forced_response, APForcedResponse),
        VMSTATE_QTAILQ_V(requests, APQueue, 1, vmstate_ap_message, APMessage,
                         next),
        VMSTATE_QTAILQ_V(replies, APQueue, 1, vmstate_ap_message, APMessage,
                         next),
        VMSTATE_TIMER(reply_timer, APQueue),
        VMSTATE_TIMER(part_timer, APQueue),
        VMSTATE_BOOL(in_reset, APQueue),
        VMSTATE_TIMER(reset_timer, APQueue),
        VMSTATE_BOOL(irq_enabled, APQueue),
        VMSTATE_BOOL(irq_changing, APQueue),
        VMSTATE_BOOL(irq_target, APQueue),
        VMSTATE_UINT64(irq.nib, APQueue),
        VMSTATE_UINT64(irq.gisa, APQueue),
        VMSTATE_UINT8(irq.gisa_format, APQueue),
        VMSTATE_UINT8(irq.isc, APQueue),
        VMSTATE_UINT8(irq.gisc, APQueue),
        VMSTATE_TIMER(irq_timer, APQueue),
        VMSTATE_UINT64(request_count, APQueue),
        VMSTATE_UINT64(interrupt_count, APQueue),
        VMSTATE_UINT64(reset_count, APQueue),
        VMSTATE_END_OF_LIST()
    }
};

/* QOM */

APQueue *ap_queue_new(APAdapter *adapter, uint8_t apqi)
{
    APQueue *queue = AP_QUEUE(object_new(TYPE_AP_QUEUE));

    queue->adapter = adapter;
    queue->apqi = apqi;
    queue->delays = adapter->delays;
    return queue;
}

static void ap_queue_init(Object *obj)
{
    APQueue *queue = AP_QUEUE(obj);

    QTAILQ_INIT(&queue->requests);
    QTAILQ_INIT(&queue->replies);
    timer_init_ns(&queue->reply_timer, QEMU_CLOCK_VIRTUAL, ap_queue_reply_due,
                  queue);
    timer_init_ns(&queue->part_timer, QEMU_CLOCK_VIRTUAL, ap_queue_part_due,
                  queue);
    timer_init_ns(&queue->reset_timer, QEMU_CLOCK_VIRTUAL, ap_queue_reset_done,
                  queue);
    timer_init_ns(&queue->irq_timer, QEMU_CLOCK_VIRTUAL, ap_queue_irq_done,
                  queue);
}

static void ap_queue_finalize(Object *obj)
{
    ap_queue_clear(AP_QUEUE(obj));
}

static void ap_queue_get_delay(Object *obj, Visitor *v, const char *name,
                               void *opaque, Error **errp)
{
    visit_type_uint32(v, name,
                      (void *)&AP_QUEUE(obj)->delays + (uintptr_t)opaque,
                      errp);
}

/* An operation that is under way ends when the new time has passed from now on. */
void ap_queue_change_delay(APQueue *queue, size_t offset, uint32_t value)
{
    const struct {
        size_t offset;
        QEMUTimer *timer;
    } timers[] = {
        { offsetof(APDelays, reset), &queue->reset_timer },
        { offsetof(APDelays, reply), &queue->reply_timer },
        { offsetof(APDelays, irq), &queue->irq_timer },
    };
    APMessage *message;
    unsigned int i;

    *(uint32_t *)((void *)&queue->delays + offset) = value;
    if (offset == offsetof(APDelays, part)) {
        QTAILQ_FOREACH(message, &queue->requests, next) {
            message->deadline = ap_queue_expiry(value);
        }
        ap_queue_part_due(queue);
        return;
    }
    for (i = 0; i < ARRAY_SIZE(timers); i++) {
        if (timers[i].offset == offset && timer_pending(timers[i].timer)) {
            timer_mod_ns(timers[i].timer, ap_queue_expiry(value));
        }
    }
}

static void ap_queue_set_delay(Object *obj, Visitor *v, const char *name,
                               void *opaque, Error **errp)
{
    uint32_t value;

    if (!visit_type_uint32(v, name, &value, errp) ||
        !ap_delay_valid(name, value, errp)) {
        return;
    }
    ap_queue_change_delay(AP_QUEUE(obj), (uintptr_t)opaque, value);
}

static void ap_queue_get_forced(Object *obj, Visitor *v, const char *name,
                                void *opaque, Error **errp)
{
    APForcedResponse *forced = &AP_QUEUE(obj)->forced[(uintptr_t)opaque];
    g_autofree char *value = NULL;

    if (!forced->active) {
        value = g_strdup("none");
    } else if (forced->count) {
        value = g_strdup_printf("%02x,count=%" PRIu64, forced->rc,
                                forced->count);
    } else {
        value = g_strdup_printf("%02x", forced->rc);
    }
    visit_type_str(v, name, &value, errp);
}

/* "none", or two hexadecimal digits, or these and ",count=" and a number. */
static bool ap_forced_parse(const char *text, APForcedResponse *forced)
{
    const char *count;

    *forced = (APForcedResponse) {};
    if (!strcmp(text, "none")) {
        return true;
    }
    if (!g_ascii_isxdigit(text[0]) || !g_ascii_isxdigit(text[1])) {
        return false;
    }
    forced->active = true;
    forced->rc = g_ascii_xdigit_value(text[0]) << 4 |
                 g_ascii_xdigit_value(text[1]);
    if (!text[2]) {
        return true;
    }
    return strstart(text + 2, ",count=", &count) && g_ascii_isdigit(*count) &&
           !qemu_strtou64(count, NULL, 10, &forced->count) && forced->count;
}

static void ap_queue_set_forced(Object *obj, Visitor *v, const char *name,
                                void *opaque, Error **errp)
{
    g_autofree char *text = NULL;
    APForcedResponse forced;

    if (!visit_type_str(v, name, &text, errp)) {
        return;
    }
    if (!ap_forced_parse(text, &forced)) {
        error_setg(errp, "%s: '%s' is not a response: expected two hexadecimal "
                   "digits, then optionally ',count=' and a positive decimal "
                   "number; or 'none'", name, text);
        return;
    }
    AP_QUEUE(obj)->forced[(uintptr_t)opaque] = forced;
}

static char *ap_queue_get_state(Object *obj, Error **errp)
{
    APQueue *queue = AP_QUEUE(obj);

    if (!queue->adapter || !queue->adapter->configured) {
        return g_strdup("deconfigured");
    }
    if (queue->adapter->checkstopped) {
        return g_strdup("checkstopped");
    }
    return g_strdup(queue->in_reset ? "reset" : "operating");
}

static bool ap_queue_get_irq(Object *obj, Error **errp)
{
    return AP_QUEUE(obj)->irq_enabled;
}

static void ap_queue_get_number(Object *obj, Visitor *v, const char *name,
                                void *opaque, Error **errp)
{
    visit_type_uint32(v, name, (void *)AP_QUEUE(obj) + (uintptr_t)opaque,
                      errp);
}

static void ap_queue_get_counter(Object *obj, Visitor *v, const char *name,
                                 void *opaque, Error **errp)
{
    visit_type_uint64(v, name, (void *)AP_QUEUE(obj) + (uintptr_t)opaque,
                      errp);
}

static void ap_queue_class_init(ObjectClass *oc, void *data)
{
    static const struct {
        const char *name;
        uintptr_t offset;
    } delays[] = {
        { "reset-time", offsetof(APDelays, reset) },
        { "reply-time", offsetof(APDelays, reply) },
        { "irq-time", offsetof(APDelays, irq) },
        { "part-time", offsetof(APDelays, part) },
    }, numbers[] = {
        { "requests", offsetof(APQueue, nr_requests) },
        { "replies", offsetof(APQueue, nr_replies) },
    }, counters[] = {
        { "request-count", offsetof(APQueue, request_count) },
        { "interrupt-count", offsetof(APQueue, interrupt_count) },
        { "reset-count", offsetof(APQueue, reset_count) },
    };
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(delays); i++) {
        object_class_property_add(oc, delays[i].name, "uint32",
                                  ap_queue_get_delay, ap_queue_set_delay, NULL,
                                  (void *)delays[i].offset);
    }
    for (i = 0; i < AP_FUNCTION__MAX; i++) {
        object_class_property_add(oc, ap_function_property[i], "str",
                                  ap_queue_get_forced, ap_queue_set_forced,
                                  NULL, (void *)(uintptr_t)i);
    }
    for (i = 0; i < ARRAY_SIZE(numbers); i++) {
        object_class_property_add(oc, numbers[i].name, "uint32",
                                  ap_queue_get_number, NULL, NULL,
                                  (void *)numbers[i].offset);
    }
    for (i = 0; i < ARRAY_SIZE(counters); i++) {
        object_class_property_add(oc, counters[i].name, "uint64",
                                  ap_queue_get_counter, NULL, NULL,
                                  (void *)counters[i].offset);
    }
    object_class_property_add_str(oc, "state", ap_queue_get_state, NULL);
    object_class_property_add_bool(oc, "interrupts-enabled", ap_queue_get_irq,
                                   NULL);
}

static const TypeInfo ap_queue_type = {
    .name = TYPE_AP_QUEUE,
    .parent = TYPE_OBJECT,
    .instance_size = sizeof(APQueue),
    .instance_init = ap_queue_init,
    .instance_finalize = ap_queue_finalize,
    .class_init = ap_queue_class_init,
};

static void ap_queue_register_types(void)
{
    type_register_static(&ap_queue_type);
}

type_init(ap_queue_register_types)
