// SPDX-License-Identifier: GPL-2.0
/*
 * AP instructions, executed by a guest's CPU 0, and requests for the cards.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ap.h"
#include "host.h"

static void get_result(struct vmm *vmm, struct ap_result *result)
{
	const struct guest_mailbox *mailbox = vmm_mailbox(vmm, 0);

	result->pgm = mailbox->pgm;
	result->cc = mailbox->cc;
	result->gr1 = mailbox->gr[1];
	result->gr2 = mailbox->gr[2];
	result->flags = mailbox->gr[1] >> 24;
	result->rc = mailbox->gr[1] >> 16;
}

static void set_pqap(struct vmm *vmm, uint64_t gr0, uint64_t gr1, uint64_t gr2)
{
	struct guest_mailbox *mailbox = vmm_mailbox(vmm, 0);

	mailbox->gr[0] = gr0;
	mailbox->gr[1] = gr1;
	mailbox->gr[2] = gr2;
}

int ap_pqap(struct vmm *vmm, uint64_t gr0, uint64_t gr1, uint64_t gr2,
	    struct ap_result *result)
{
	int ret;

	set_pqap(vmm, gr0, gr1, gr2);
	ret = vmm_execute(vmm, 0, INSN_PQAP);
	get_result(vmm, result);
	return ret;
}

int ap_tapq(struct vmm *vmm, uint16_t apqn, struct ap_result *result)
{
	return ap_pqap(vmm, AP_FC_TAPQ | apqn, 0, 0, result);
}

int ap_rapq(struct vmm *vmm, uint16_t apqn, struct ap_result *result)
{
	return ap_pqap(vmm, AP_FC_RAPQ | apqn, 0, 0, result);
}

int ap_zapq(struct vmm *vmm, uint16_t apqn, struct ap_result *result)
{
	return ap_pqap(vmm, AP_FC_ZAPQ | apqn, 0, 0, result);
}

int ap_aqic(struct vmm *vmm, uint16_t apqn, uint64_t control, uint64_t nib,
	    struct ap_result *result)
{
	return ap_pqap(vmm, AP_FC_AQIC | apqn, control, nib, result);
}

int ap_aqic_marked(struct vmm *vmm, uint16_t apqn, uint64_t control,
		   uint64_t nib, uint64_t *nanoseconds,
		   struct ap_result *result)
{
	const struct guest_mailbox *mailbox = vmm_mailbox(vmm, 0);
	int ret;

	set_pqap(vmm, AP_FC_AQIC | apqn, control, nib);
	ret = vmm_execute_pqap_marked(vmm, 0);
	get_result(vmm, result);
	/* Bit 51 of the clock is a microsecond. */
	*nanoseconds = (mailbox->tod[1] - mailbox->tod[0]) * 125 / 512;
	return ret;
}

int ap_qci(struct vmm *vmm, struct ap_qci *qci, struct ap_result *result)
{
	int ret;

	memset(vmm->mem + GUEST_QCI, 0xff, sizeof(*qci));
	ret = ap_pqap(vmm, AP_FC_QCI, 0, GUEST_QCI, result);
	memcpy(qci, vmm->mem + GUEST_QCI, sizeof(*qci));
	return ret;
}

int ap_nqap(struct vmm *vmm, uint16_t apqn, uint64_t psmid, size_t length,
	    struct ap_result *result)
{
	struct guest_mailbox *mailbox = vmm_mailbox(vmm, 0);
	int ret;

	mailbox->gr[0] = 0x40000000UL | apqn;
	mailbox->gr[1] = 0;
	mailbox->gr[4] = psmid >> 32;
	mailbox->gr[5] = psmid & 0xffffffff;
	mailbox->gr[6] = GUEST_REQUEST;
	mailbox->gr[7] = length;
	do {
		/* Condition code 2: a part was taken, the rest by another go. */
		ret = vmm_execute(vmm, 0, INSN_NQAP);
		get_result(vmm, result);
	} while (!ret && !result->pgm && result->cc == 2);
	return ret;
}

int ap_dqap(struct vmm *vmm, uint16_t apqn, uint64_t *psmid, size_t *length,
	    struct ap_result *result)
{
	struct guest_mailbox *mailbox = vmm_mailbox(vmm, 0);
	int ret;

	memset(vmm->mem + GUEST_REPLY, 0, GUEST_MSG_SIZE);
	mailbox->gr[0] = 0x80000000UL | apqn;
	mailbox->gr[1] = 0;
	mailbox->gr[2] = 0;
	mailbox->gr[4] = 0;
	mailbox->gr[5] = 0;
	mailbox->gr[6] = GUEST_REPLY;
	mailbox->gr[7] = GUEST_MSG_SIZE;
	do {
		ret = vmm_execute(vmm, 0, INSN_DQAP);
		get_result(vmm, result);
	} while (!ret && !result->pgm && mailbox->gr[7] &&
		 (result->cc == 1 || result->cc == 2));
	*psmid = mailbox->gr[4] << 32 | (mailbox->gr[5] & 0xffffffff);
	*length = GUEST_MSG_SIZE - mailbox->gr[7];
	return ret;
}

int ap_await(struct vmm *vmm, uint16_t apqn, uint8_t rc, uint8_t mask,
	     uint8_t value, struct ap_result *result)
{
	uint64_t end = now_ms() + hang_ms;
	int ret;

	do {
		ret = ap_tapq(vmm, apqn, result);
		if (ret)
			return ret;
		/* A reset, or a change of the interrupt, takes its time. */
		if (result->pgm ||
		    (result->rc == rc && (result->flags & mask) == value) ||
		    (result->rc != rc && result->rc != AP_RC_RESET &&
		     result->rc != AP_RC_BUSY))
			return 0;
		sleep_ms(1);
	} while (now_ms() < end);
	snprintf(vmm->error, sizeof(vmm->error),
		 "queue %02x.%04x: status %#x for %u s", APID(apqn), APQI(apqn),
		 (uint32_t)result->gr1, hang_ms / 1000);
	return -ETIMEDOUT;
}

int ap_reset(struct vmm *vmm, uint16_t apqn, struct ap_result *result)
{
	uint64_t end = now_ms() + hang_ms;
	int ret;

	ret = ap_zapq(vmm, apqn, result);
	while (!ret && !result->pgm && now_ms() < end) {
		ret = ap_tapq(vmm, apqn, result);
		if (result->rc != AP_RC_RESET && result->rc != AP_RC_BUSY)
			break;
		sleep_ms(1);
	}
	return ret;
}

int ap_enable_irq(struct vmm *vmm, uint16_t apqn, unsigned int isc,
		  uint64_t nib, struct ap_result *result)
{
	struct ap_result tapq;
	int ret;

	ret = ap_aqic(vmm, apqn, AQIC_IR | AQIC_ISC(isc), nib, result);
	if (ret || result->pgm || result->rc)
		return ret;
	return ap_await(vmm, apqn, AP_RC_NORMAL, AP_IRQ, AP_IRQ, &tapq);
}

int ap_disable_irq(struct vmm *vmm, uint16_t apqn, struct ap_result *result)
{
	struct ap_result tapq;
	int ret;

	ret = ap_aqic(vmm, apqn, 0, 0, result);
	if (ret || result->pgm || result->rc)
		return ret;
	return ap_await(vmm, apqn, AP_RC_NORMAL, AP_IRQ, 0, &tapq);
}

enum ap_mode ap_mode_of(const struct ap_result *tapq)
{
	/* Bits 3, 4 and 5 of GR 2: D, A and X. */
	if (tapq->gr2 >> 60 & 1)
		return AP_MODE_CCA;
	if (tapq->gr2 >> 59 & 1)
		return AP_MODE_ACCELERATOR;
	if (tapq->gr2 >> 58 & 1)
		return AP_MODE_EP11;
	return AP_MODE_UNKNOWN;
}

/* --- accelerator: RSA, message type 50 ----------------------------------- */

/*
 * A 1024-bit key and a private key operation with it, both computed with
 * Python's integers: rsa_result = pow(rsa_message, rsa_exponent, rsa_modulus).
 */
static const uint8_t rsa_modulus[128] = {
	0xc8, 0x82, 0x11, 0x89, 0x73, 0x9e, 0x49, 0x65,
	0xab, 0x0c, 0xd5, 0xf0, 0x7a, 0x81, 0x99, 0x19,
	0xd4, 0xd7, 0x35, 0xb0, 0xed, 0xa2, 0xdc, 0x02,
	0x2e, 0x53, 0xdd, 0x3a, 0x63, 0x16, 0x99, 0x1c,
	0xcf, 0x5f, 0x16, 0x12, 0x00, 0x35, 0x7d, 0x9d,
	0x58, 0x31, 0x7d, 0xc9, 0x70, 0x2b, 0xed, 0xb2,
	0x1b, 0x68, 0x91, 0x7e, 0x40, 0xf7, 0x91, 0xbe,
	0xdb, 0xdc, 0x07, 0x5c, 0x02, 0x63, 0x34, 0x4d,
	0x31, 0x78, 0xca, 0x31, 0x0c, 0x62, 0x05, 0x2a,
	0x65, 0x0a, 0x37, 0xd3, 0x10, 0xb3, 0xea, 0x28,
	0xe8, 0xa1, 0x9e, 0xaf, 0xc9, 0xff, 0xc4, 0x67,
	0x70, 0x4c, 0x5b, 0xec, 0xc4, 0xaa, 0x81, 0xec,
	0x07, 0xc3, 0x43, 0xc5, 0xad, 0x4c, 0x81, 0x13,
	0x0c, 0x2a, 0x43, 0x01, 0x3f, 0x0e, 0x3a, 0x0f,
	0xc8, 0xa7, 0x87, 0xee, 0x7c, 0xcc, 0xed, 0x37,
	0x52, 0x0d, 0x07, 0x21, 0x40, 0xe8, 0x9d, 0xf7,
};

static const uint8_t rsa_exponent[128] = {
	0x78, 0x46, 0x0d, 0x5e, 0xf6, 0x0b, 0xac, 0xdb,
	0x5f, 0x8f, 0x83, 0x85, 0x8c, 0xf6, 0xd0, 0x6f,
	0xbe, 0x4c, 0x99, 0xd8, 0x57, 0xb3, 0xa9, 0x65,
	0x65, 0x84, 0xc8, 0xdf, 0x8d, 0x30, 0xb1, 0x07,
	0xa7, 0x1c, 0xd2, 0x90, 0x59, 0xaf, 0xbc, 0x79,
	0xf5, 0xbd, 0x3a, 0x46, 0xeb, 0x12, 0x6e, 0xb2,
	0xb7, 0xde, 0x31, 0xe8, 0x19, 0xf0, 0x67, 0x6c,
	0xa5, 0x55, 0x86, 0xd4, 0x9a, 0x5a, 0x07, 0xb4,
	0x75, 0xc7, 0x61, 0xa2, 0x58, 0x04, 0x9a, 0x4f,
	0x54, 0x21, 0xf3, 0x69, 0xb1, 0xf0, 0x0c, 0xea,
	0x28, 0x73, 0xb1, 0x85, 0x32, 0xbf, 0xfa, 0xc0,
	0xae, 0x1d, 0x7f, 0x5b, 0x65, 0xf0, 0xf6, 0x78,
	0x5a, 0x0d, 0x54, 0x62, 0x7a, 0x01, 0xb7, 0x3b,
	0xe5, 0x07, 0x10, 0x3f, 0x3d, 0xd1, 0xc8, 0xc3,
	0xfb, 0xcc, 0xfb, 0x92, 0xc0, 0x0e, 0xd5, 0x0a,
	0x0f, 0x76, 0x4b, 0x0e, 0x86, 0x75, 0x5c, 0x01,
};

static const uint8_t rsa_message[128] = {
	0x03, 0xf7, 0xf5, 0xef, 0xf7, 0x8b, 0x3e, 0xd4,
	0xc6, 0xd8, 0x4e, 0x47, 0x6b, 0x66, 0x54, 0x0e,
	0xef, 0x4e, 0x46, 0x16, 0x82, 0xf4, 0x9d, 0x6a,
	0x6c, 0xe1, 0x27, 0xbf, 0x3d, 0x81, 0x97, 0x02,
	0x71, 0x26, 0xab, 0x62, 0x65, 0x6c, 0x47, 0xe2,
	0xca, 0x29, 0x6e, 0x94, 0xd2, 0x73, 0x04, 0xd9,
	0x59, 0xe4, 0x63, 0x8b, 0x3d, 0x9f, 0x5b, 0x84,
	0xc7, 0xe4, 0xba, 0xf2, 0xe9, 0xe1, 0xd6, 0x5c,
	0x4d, 0x33, 0x74, 0x4e, 0x70, 0x7e, 0x19, 0x7c,
	0x8a, 0x3f, 0xc3, 0xc1, 0xf8, 0x18, 0xbd, 0xd7,
	0xb4, 0xcf, 0x89, 0xc0, 0x6b, 0xca, 0xce, 0x79,
	0xf9, 0xba, 0x70, 0x66, 0x80, 0x1e, 0xdb, 0x88,
	0x7f, 0x34, 0x89, 0xa0, 0xab, 0x38, 0x15, 0x28,
	0x05, 0x4b, 0xea, 0x31, 0x75, 0xe4, 0xbe, 0xf5,
	0x8b, 0x32, 0x29, 0x21, 0x96, 0x30, 0x12, 0xb9,
	0x65, 0x90, 0x31, 0x65, 0x87, 0x00, 0x7b, 0x1c,
};

static const uint8_t rsa_result[128] = {
	0x44, 0x3f, 0x0e, 0xc4, 0xd2, 0x29, 0xe1, 0xd9,
	0xf8, 0xee, 0xf3, 0x7b, 0xaa, 0x91, 0xb1, 0xe3,
	0x33, 0x97, 0xa9, 0xde, 0x7a, 0xcf, 0xc1, 0x70,
	0x01, 0xf2, 0x77, 0x78, 0x0b, 0x32, 0x53, 0x9d,
	0x36, 0xdf, 0xbf, 0x5b, 0xab, 0x72, 0xe4, 0x10,
	0xca, 0xb2, 0xeb, 0x8a, 0xe2, 0x7f, 0x3b, 0x89,
	0x4f, 0x1e, 0xc0, 0x2c, 0xb9, 0xc7, 0xcd, 0xc6,
	0x6a, 0x08, 0x72, 0x62, 0xef, 0xc8, 0x3a, 0xd9,
	0xde, 0xb3, 0xc2, 0xe3, 0x25, 0x51, 0x01, 0x36,
	0x17, 0x66, 0x04, 0x43, 0x74, 0x54, 0x05, 0x7b,
	0xcc, 0x06, 0x67, 0x7e, 0xbf, 0x99, 0x71, 0xfe,
	0x06, 0x12, 0x32, 0x24, 0x9e, 0xdd, 0xa7, 0x45,
	0x2c, 0xa8, 0xde, 0xe8, 0xbb, 0x59, 0x6c, 0x0c,
	0x53, 0x86, 0x3b, 0x6b, 0xf2, 0x80, 0x57, 0x6d,
	0x3f, 0x85, 0x5b, 0xfe, 0xab, 0x7a, 0xbc, 0xc8,
	0xf7, 0xd9, 0x07, 0xb9, 0x7f, 0x6b, 0xb3, 0xf4,
};

/* drivers/s390/crypto/zcrypt_msgtype50.c: MEB1 */
struct type50_meb1 {
	uint8_t reserved1;
	uint8_t type;
	uint16_t length;
	uint8_t reserved2[4];
	uint16_t keyblock_type;
	uint8_t reserved3[6];
	uint8_t exponent[128];
	uint8_t modulus[128];
	uint8_t message[128];
};

struct type80 {
	uint8_t reserved1;
	uint8_t type;
	uint16_t length;
	uint8_t code;
	uint8_t reserved2[11];
};

static_assert(sizeof(struct type50_meb1) == 400, "type50_meb1");
static_assert(sizeof(struct type80) == 16, "type80");

static size_t rsa_request(void *buffer)
{
	struct type50_meb1 *request = buffer;

	memset(request, 0, sizeof(*request));
	request->type = 0x50;
	request->length = sizeof(*request);
	request->keyblock_type = 0x0001;
	memcpy(request->exponent, rsa_exponent, sizeof(rsa_exponent));
	memcpy(request->modulus, rsa_modulus, sizeof(rsa_modulus));
	memcpy(request->message, rsa_message, sizeof(rsa_message));
	return sizeof(*request);
}

static const char *rsa_check(const void *buffer, size_t length)
{
	const struct type80 *reply = buffer;

	if (reply->type != 0x80)
		return "an accelerator's reply is not of type 80";
	if (reply->code)
		return "an accelerator's reply has an error code";
	if (reply->length != length ||
	    length < sizeof(*reply) + sizeof(rsa_result))
		return "an accelerator's reply has a wrong length";
	if (memcmp((uint8_t *)buffer + length - sizeof(rsa_result), rsa_result,
		   sizeof(rsa_result)))
		return "the accelerator's number is wrong";
	return NULL;
}

/* --- coprocessors: message type 6 ---------------------------------------- */

/* drivers/s390/crypto/zcrypt_msgtype6.h */
struct type6 {
	uint8_t reserved1;
	uint8_t type;
	uint8_t reserved2[10];
	uint32_t apfs;
	uint32_t offset[4];
	uint8_t agent_id[16];
	uint8_t request_id[2];
	uint8_t reserved3[2];
	uint8_t function_code[2];
	uint8_t reserved4[2];
	uint32_t to_card[4];
	uint32_t from_card[4];
};

/* arch/s390/include/uapi/asm/zcrypt.h: CPRBX */
struct cprbx {
	uint16_t length;
	uint8_t version;
	uint8_t pad0[3];
	uint8_t function_id[2];
	uint8_t flags[4];
	uint32_t request_parameters;
	uint32_t request_data;
	uint32_t reply_block;
	uint32_t replied_parameters;
	uint32_t reply_data;
	uint32_t replied_data;
	uint8_t pad1[108];
	uint16_t return_code;
	uint16_t reason_code;
	uint8_t pad2[22];
	uint16_t domain;
	uint8_t pad3[48];
};

struct rng_request {
	struct type6 header;
	struct cprbx cprbx;
	uint8_t function_code[2];
	uint16_t rule_length;
	char rule[8];
	uint16_t verb_length;
	uint16_t key_length;
};

static_assert(sizeof(struct type6) == 88, "type6");
static_assert(sizeof(struct cprbx) == 220, "cprbx");
static_assert(sizeof(struct rng_request) == 324, "rng_request");

struct type86 {
	uint8_t reserved1;
	uint8_t type;
	uint8_t format;
	uint8_t reserved2;
	uint8_t code;
	uint8_t reserved3[3];
	uint8_t reserved4[4];
	uint32_t apfs;
	struct {
		uint32_t count;
		uint32_t offset;
	} part[4];
};

static_assert(sizeof(struct type86) == 48, "type86");

#define RANDOM_BYTES	64

static size_t rng_request(void *buffer, uint16_t apqn)
{
	struct rng_request *request = buffer;
	size_t block = sizeof(*request) - sizeof(request->header);

	memset(request, 0, sizeof(*request));
	request->header.type = 0x06;
	request->header.offset[0] = sizeof(request->header);
	memcpy(request->header.agent_id, "CA", 2);
	memcpy(request->header.function_code, "RL", 2);
	request->header.to_card[0] = block;
	request->header.from_card[0] = block;
	request->header.from_card[1] = RANDOM_BYTES;
	request->cprbx.length = sizeof(request->cprbx);
	request->cprbx.version = 0x02;
	memcpy(request->cprbx.function_id, "T2", 2);
	request->cprbx.request_parameters = block - sizeof(request->cprbx);
	request->cprbx.reply_block = block;
	request->cprbx.reply_data = RANDOM_BYTES;
	request->cprbx.domain = APQI(apqn);
	memcpy(request->function_code, "RL", 2);
	request->rule_length = 10;
	memcpy(request->rule, "RANDOM  ", 8);
	request->verb_length = 2;
	request->key_length = 2;
	return sizeof(*request);
}

static const char *rng_check(const void *buffer, size_t length)
{
	const struct type86 *reply = buffer;
	const struct cprbx *cprbx;
	size_t i, different = 0;
	const uint8_t *data;

	if (reply->type != 0x86)
		return "a CCA coprocessor's reply is not of type 86";
	if (reply->code)
		return "a CCA coprocessor's reply has an error code";
	if (length < sizeof(*reply) + sizeof(*cprbx) || reply->format != 2)
		return "a CCA coprocessor's reply is too short";
	if (reply->part[0].offset > length - sizeof(*cprbx))
		return "the CPRB is not within the reply";
	cprbx = (void *)((uint8_t *)buffer + reply->part[0].offset);
	if (cprbx->return_code)
		return "the CPRB has a return code";
	if (reply->part[1].count != RANDOM_BYTES ||
	    reply->part[1].offset > length - RANDOM_BYTES)
		return "the random number is not within the reply";
	data = (uint8_t *)buffer + reply->part[1].offset;
	for (i = 1; i < RANDOM_BYTES; i++)
		different += data[i] != data[0];
	if (!different)
		return "the random number is not random";
	return NULL;
}

/* A message without sense, which any card answers with an error reply. */
static size_t senseless_request(void *buffer)
{
	struct type6 *request = buffer;

	memset(request, 0, sizeof(*request) + 64);
	request->type = 0x06;
	request->offset[0] = sizeof(*request);
	request->to_card[0] = 64;
	request->from_card[0] = 64;
	return sizeof(*request) + 64;
}

static const char *senseless_check(const void *buffer, size_t length)
{
	const struct type86 *reply = buffer;

	if (length < 8)
		return "the reply is shorter than any reply's header";
	if (reply->type != 0x82 && reply->type != 0x86 && reply->type != 0x87 &&
	    reply->type != 0x88)
		return "the reply is of no known type";
	if (!reply->code)
		return "a request without sense has been carried out";
	return NULL;
}

size_t ap_request(struct vmm *vmm, enum ap_mode mode, uint16_t apqn)
{
	void *buffer = vmm->mem + GUEST_REQUEST;

	switch (mode) {
	case AP_MODE_ACCELERATOR:
		return rsa_request(buffer);
	case AP_MODE_CCA:
		return rng_request(buffer, apqn);
	default:
		return senseless_request(buffer);
	}
}

const char *ap_check_reply(struct vmm *vmm, enum ap_mode mode, size_t length)
{
	const void *buffer = vmm->mem + GUEST_REPLY;

	switch (mode) {
	case AP_MODE_ACCELERATOR:
		return rsa_check(buffer, length);
	case AP_MODE_CCA:
		return rng_check(buffer, length);
	default:
		return senseless_check(buffer, length);
	}
}
