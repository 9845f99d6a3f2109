/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Emulated adjunct processor (AP) hardware
 *
 * Adapters ("ap-adapter") and domains ("ap-domain") are devices on the AP bus.
 * A queue ("ap-queue") exists for each adapter and each usage domain; an APQN
 * names it: the adapter's APID in the left byte, the domain's APQI in the
 * right one. The AP instructions (target/s390x/tcg/ap_helper.c) act on queues
 * through the functions declared here.
 *
 * All state is protected by the big QEMU lock.
 *
 * What is published about the architecture is in Linux: arch/s390/include/
 * asm/ap.h (instructions, status word, response codes), arch/s390/include/asm/
 * kvm_host.h (GISA, GIB), drivers/s390/crypto/zcrypt_msgtype{6,50}.c
 * (messages).
 */
#ifndef HW_S390X_AP_HW_H
#define HW_S390X_AP_HW_H

#include "hw/s390x/ap-device.h"
#include "hw/s390x/ap-message.h"
#include "migration/vmstate.h"
#include "qemu/timer.h"
#include "qom/object.h"

#define AP_MAX_ADAPTERS 256
#define AP_MAX_DOMAINS 256
/* Without extended addressing an APQN has 6 and 4 bits that count. */
#define AP_MAX_APID_BASE 63
#define AP_MAX_DOMAIN_BASE 15
/* Queue status word, bits 32-63 of GR1. */
#define AP_STATUS_EMPTY 0x80000000u
#define AP_STATUS_REPLIES 0x40000000u
#define AP_STATUS_FULL 0x20000000u
#define AP_STATUS_IRQ 0x01000000u
#define AP_STATUS_RC(rc) ((uint32_t)(rc) << 16)
#define AP_STATUS_GET_RC(status) (((status) >> 16) & 0xff)

/* Response codes. */
#define AP_RC_NORMAL 0x00
#define AP_RC_NOT_AVAILABLE 0x01
#define AP_RC_RESET_IN_PROGRESS 0x02
#define AP_RC_DECONFIGURED 0x03
#define AP_RC_CHECKSTOPPED 0x04
#define AP_RC_BUSY 0x05
#define AP_RC_INVALID_ADDRESS 0x06
#define AP_RC_OTHERWISE_CHANGED 0x07
#define AP_RC_INVALID_GISA 0x08
#define AP_RC_QUEUE_FULL 0x10
#define AP_RC_NO_REPLY 0x10
#define AP_RC_NO_FIRST_PART 0x13
#define AP_RC_MESSAGE_TOO_BIG 0x15
#define AP_RC_NOT_INSTALLED 0x16

/* Functions for which a response code can be forced. */
typedef enum APFunction {
    AP_FUNCTION_TAPQ,
    AP_FUNCTION_RAPQ,
    AP_FUNCTION_ZAPQ,
    AP_FUNCTION_AQIC,
    AP_FUNCTION_QACT,
    AP_FUNCTION_NQAP,
    AP_FUNCTION_DQAP,
    AP_FUNCTION__MAX,
} APFunction;

/* Where a queue's interrupts go: what AQIC was given. */
typedef struct APInterrupt {
    /* Host absolute address of the notification-indicator byte. */
    uint64_t nib;
    /* Host absolute address of the GISA; 0: the interrupt is the host's. */
    uint64_t gisa;
    uint8_t gisa_format;
    uint8_t isc;
    uint8_t gisc;
} APInterrupt;

/* A request on its way, or its reply. */
typedef struct APMessage {
    QTAILQ_ENTRY(APMessage) next;
    uint64_t psmid;
    /*
     * The request, as far as it has come, or the reply. NULL when there is
     * nothing left of a request but what it will be answered with.
     */
    GByteArray *data;
    /* What a complete request will be answered with when its time is up. */
    GByteArray *reply;
    /* How much of a reply DQAP has handed out already. */
    uint64_t taken;
    /* A request of which parts are still to come, until it is given up. */
    bool partial;
    int64_t deadline;
} APMessage;

typedef QTAILQ_HEAD(APMessageList, APMessage) APMessageList;

typedef struct APForcedResponse {
    bool active;
    uint8_t rc;
    /* Calls left; 0: until it is taken back. */
    uint64_t count;
} APForcedResponse;

#define TYPE_AP_ADAPTER "ap-adapter"
OBJECT_DECLARE_SIMPLE_TYPE(APAdapter, AP_ADAPTER)

#define TYPE_AP_DOMAIN "ap-domain"
OBJECT_DECLARE_SIMPLE_TYPE(APDomain, AP_DOMAIN)

#define TYPE_AP_QUEUE "ap-queue"
OBJECT_DECLARE_SIMPLE_TYPE(APQueue, AP_QUEUE)

/* Delays of a queue, in milliseconds of the machine's clock. */
typedef struct APDelays {
    /* From RAPQ or ZAPQ until the queue has left the reset. */
    uint32_t reset;
    /* From the start of a request's processing to its reply. */
    uint32_t reply;
    /* From AQIC until interrupts are enabled or disabled. */
    uint32_t irq;
    /* From one part of a request until the queue no longer waits for the next. */
    uint32_t part;
} APDelays;

struct APAdapter {
    APDevice parent_obj;

    uint32_t apid;
    int model;
    int mode;
    uint8_t queue_depth;
    bool configured;
    bool checkstopped;
    APDelays delays;
    APQueue *queue[AP_MAX_DOMAINS];
};

struct APDomain {
    APDevice parent_obj;

    uint32_t domain;
    bool usage;
    bool control;
};

struct APQueue {
    Object parent_obj;

    APAdapter *adapter;
    uint8_t apqi;
    APDelays delays;
    APForcedResponse forced[AP_FUNCTION__MAX];

    /* Requests, oldest first, and the replies to those that are done. */
    APMessageList requests;
    APMessageList replies;
    unsigned int nr_requests;
    unsigned int nr_replies;
    QEMUTimer reply_timer;
    QEMUTimer part_timer;

    bool in_reset;
    QEMUTimer reset_timer;

    bool irq_enabled;
    /* AQIC's change is on its way: to "on" or to "off". */
    bool irq_changing;
    bool irq_target;
    APInterrupt irq;
    QEMUTimer irq_timer;

    uint64_t request_count;
    uint64_t interrupt_count;
    uint64_t reset_count;
};

/* ap-hw.c: the machine's AP configuration, and its interrupts */

/* Called by the AP bridge, see ap-bridge.c. */
void ap_hw_bridge_class_init(ObjectClass *oc);
/* What tells a device on the AP bus from others, for migration. */
char *ap_hw_dev_path(DeviceState *dev);

/* Highest APID and domain that the machine could have (NA and ND of QCI). */
unsigned int ap_hw_max_apid(void);
unsigned int ap_hw_max_domain(void);
/* Has the machine extended addressing (APXA)? */
bool ap_hw_extended(void);

bool ap_hw_add_adapter(APAdapter *adapter, Error **errp);
void ap_hw_remove_adapter(APAdapter *adapter);
bool ap_hw_add_domain(APDomain *domain, Error **errp);
void ap_hw_remove_domain(APDomain *domain);
/* The usage or control attribute of a domain on the bus has changed. */
void ap_hw_domain_changed(APDomain *domain);
/* Tell the host that its AP configuration changed (channel report). */
void ap_hw_config_changed(void);

APQueue *ap_hw_queue(unsigned int apid, unsigned int apqi);
bool ap_hw_is_usage_domain(unsigned int domain);
bool ap_hw_is_control_domain(unsigned int domain);
/* Masks of QCI; bit 0 is the leftmost. */
void ap_hw_masks(uint64_t apm[AP_MASK_WORDS], uint64_t aqm[AP_MASK_WORDS],
                 uint64_t adm[AP_MASK_WORDS]);

/*
 * Memory for messages: what is in the queues is counted, and beyond a limit only
 * an empty queue takes another request, so that none keeps others from working.
 */
void ap_hw_count_message(int64_t bytes);
bool ap_hw_message_room(uint64_t bytes);

/* Is [addr, addr + size) memory that the channel subsystem may write? */
bool ap_hw_storage_ok(uint64_t addr, size_t size);
/* Set the indicator, and make the interruption pending. */
void ap_hw_interrupt(const APInterrupt *irq);

/* CHSC: set guest information block. Returns CHSC's response code. */
uint16_t ap_hw_chsc_sgib(const uint8_t *request, uint16_t len);
/* Size of SGIB's request block in which there is information. */
#define AP_CHSC_SGIB_LEN 32

/* SCLP: is there hardware to configure, and do it. Returns the response code. */
bool ap_hw_emulated(void);
uint16_t ap_hw_sclp_configure(unsigned int apid, bool configure);

/* CHSC: store event information, notification type 0; 0 if there was one. */
int ap_hw_sei_nt0_get_event(void *response);
int ap_hw_sei_nt0_have_event(void);

/* ap-adapter.c: an adapter that is not configured keeps nothing. */
void ap_adapter_configure(APAdapter *adapter, bool configured);

/* Delays have an upper limit, so that no reset lasts for ever. */
bool ap_delay_valid(const char *name, uint32_t value, Error **errp);

extern const VMStateDescription vmstate_ap_queue;

/* ap-queue.c: one queue. Functions of the instructions return the status. */
APQueue *ap_queue_new(APAdapter *adapter, uint8_t apqi);
/* A delay of APDelays, at this offset, in milliseconds. */
void ap_queue_change_delay(APQueue *queue, size_t offset, uint32_t value);
/* Back to what it was at power-on: no messages, no interrupts, no reset. */
void ap_queue_clear(APQueue *queue);

/*
 * Does anything but the queue's state as such decide the answer? @status is
 * what the function has to answer then. To be called once per instruction.
 */
bool ap_queue_refuses(APQueue *queue, APFunction function, uint32_t *status);
uint32_t ap_queue_status(const APQueue *queue, uint8_t rc);
uint32_t ap_queue_tapq(APQueue *queue, bool facilities, uint64_t *info);
uint32_t ap_queue_reset(APQueue *queue, APFunction function);
uint32_t ap_queue_aqic(APQueue *queue, bool enable, const APInterrupt *irq);
uint32_t ap_queue_qact(APQueue *queue, uint64_t request, uint64_t *info);

/* The longest request that the queue takes. */
size_t ap_queue_max_message(const APQueue *queue);
/* The request with this PSMID of which parts are still to come, or NULL. */
APMessage *ap_queue_partial(APQueue *queue, uint64_t psmid);
bool ap_queue_full(const APQueue *queue);
/* Is there memory for so many bytes more of this request (NULL: a new one)? */
bool ap_queue_room(const APQueue *queue, const APMessage *message, size_t len);
/* Add a (part of a) request; the caller has checked that it fits. */
APMessage *ap_queue_add_part(APQueue *queue, APMessage *message,
                             uint64_t psmid, const uint8_t *data, size_t len);
void ap_queue_drop(APQueue *queue, APMessage *message);
/*
 * The request whose data is @request will be answered with @reply, in time;
 * unless a reset has taken it away since.
 */
void ap_queue_submit(APQueue *queue, GByteArray *request, GByteArray *reply);
/* The oldest reply, or NULL. */
APMessage *ap_queue_first_reply(APQueue *queue);
void ap_queue_remove_reply(APQueue *queue, APMessage *message);

#endif
