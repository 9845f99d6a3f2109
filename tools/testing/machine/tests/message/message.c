// SPDX-License-Identifier: GPL-2.0
/*
 * The emulated adapters' replies (qemu/hw/s390x/ap-message.c), tried alone, and
 * made to be built with the compiler's sanitizers: RSA against OpenSSL, what is
 * wrong with a request against the reply code that says so, and random changes
 * of good requests, which must do no harm and get well-formed replies. TAP.
 *
 *   message [ROUNDS [SEED]]
 *
 * Layouts: Linux, drivers/s390/crypto/zcrypt_msgtype50.c, zcrypt_msgtype6.h,
 * zcrypt_cca_key.h, zcrypt_error.h and arch/s390/include/uapi/asm/zcrypt.h.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/guest-random.h"
#include "hw/s390x/ap-message.h"
#include <stdlib.h>
#include <openssl/bn.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define APQI	5
#define CONTROL	9	/* the one domain that control requests may name */

/* Reply codes of type 82 */
#define MESSAGE_TYPE	0x20
#define MESSAGE_LENGTH	0x23
#define RESERVED_FIELD	0x24
#define FORMAT_FIELD	0x29
#define MALFORMED	0x40
#define OPERAND_INVALID	0x82
#define EVEN_MODULUS	0x85
#define INVALID_DOMAIN	0x8a

#define TYPE6_HEADER	88
#define CPRBX		(TYPE6_HEADER)
#define CPRBX_LEN	220
#define PARAMETERS	(CPRBX + CPRBX_LEN)
#define TYPE86_HEADER	48
#define REPLY_PARAMETERS (TYPE86_HEADER + CPRBX_LEN)

struct message {
	size_t len;
	uint8_t data[AP_MAX_MESSAGE];
};

static uint64_t random_state;
static unsigned int nr_tests, nr_bad;
static bool test_bad;

void qemu_guest_getrandom_nofail(void *buf, size_t len)
{
	uint8_t *bytes = buf;

	while (len--)
		*bytes++ = 0x5a;
}

/* xorshift64 */
static uint32_t rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state >> 32;
}

static void same(const char *what, int line, uint64_t is, uint64_t wanted)
{
	if (is == wanted)
		return;
	test_bad = true;
	printf("# line %d: %s is %#lx, must be %#lx\n", line, what, is, wanted);
}

#define SAME(is, wanted) same(#is, __LINE__, is, wanted)

/* Requests */

static void put(struct message *m, const void *data, size_t len)
{
	memcpy(m->data + m->len, data, len);
	m->len += len;
}

static void put_zeroes(struct message *m, size_t len)
{
	memset(m->data + m->len, 0, len);
	m->len += len;
}

static void put16(struct message *m, uint16_t value)
{
	stw_be_p(m->data + m->len, value);
	m->len += 2;
}

/* A number of @len bytes, with zeroes in front */
static void put_bn(struct message *m, const BIGNUM *n, size_t len)
{
	if (BN_bn2binpad(n, m->data + m->len, len) < 0)
		abort();
	m->len += len;
}

static void set16(struct message *m, size_t offset, uint16_t value)
{
	stw_be_p(m->data + offset, value);
}

static void set32(struct message *m, size_t offset, uint32_t value)
{
	stl_be_p(m->data + offset, value);
}

struct key {
	size_t len;		/* of the modulus, in bytes */
	BIGNUM *n, *e;
	BIGNUM *p, *q, *dp, *dq, *u;	/* u: the inverse of q modulo p */
	BIGNUM *x;		/* the text */
};

static BN_CTX *ctx;

/* A key of random primes; big ones would take long, odd numbers will do. */
static void make_key(struct key *key, unsigned int bits)
{
	BIGNUM *one = BN_new();

	BN_one(one);
	*key = (struct key){
		.len = (bits + 7) / 8,
		.n = BN_new(), .e = BN_new(), .p = BN_new(), .q = BN_new(),
		.dp = BN_new(), .dq = BN_new(), .u = BN_new(), .x = BN_new(),
	};
	do {
		if (bits <= 2048) {
			BN_generate_prime_ex(key->p, bits / 2, 0, NULL, NULL,
					     NULL);
			BN_generate_prime_ex(key->q, bits / 2, 0, NULL, NULL,
					     NULL);
		} else {
			BN_rand(key->p, bits / 2, BN_RAND_TOP_TWO,
				BN_RAND_BOTTOM_ODD);
			BN_rand(key->q, bits / 2, BN_RAND_TOP_TWO,
				BN_RAND_BOTTOM_ODD);
		}
		BN_mul(key->n, key->p, key->q, ctx);
	} while (!BN_mod_inverse(key->u, key->q, key->p, ctx) ||
		 BN_num_bits(key->n) != bits);
	BN_rand_range(key->e, key->n);
	BN_set_bit(key->e, 0);
	BN_sub(key->dp, key->p, one);
	BN_mod(key->dp, key->e, key->dp, ctx);
	BN_sub(key->dq, key->q, one);
	BN_mod(key->dq, key->e, key->dq, ctx);
	BN_rand_range(key->x, key->n);
	BN_free(one);
}

static void free_key(struct key *key)
{
	BN_free(key->n);
	BN_free(key->e);
	BN_free(key->p);
	BN_free(key->q);
	BN_free(key->dp);
	BN_free(key->dq);
	BN_free(key->u);
	BN_free(key->x);
}

static void type50_header(struct message *m, uint16_t format)
{
	m->len = 0;
	put_zeroes(m, 16);
	m->data[1] = 0x50;
	set16(m, 8, format);
}

/* 1, 2 or 3: the smallest format in which the modulus finds room */
static unsigned int type50_format(size_t len)
{
	return len <= 128 ? 1 : len <= 256 ? 2 : 3;
}

static void type50_mex(struct message *m, const struct key *key)
{
	unsigned int format = type50_format(key->len);
	size_t len = 64 << format;

	type50_header(m, format);
	put_bn(m, key->e, len);
	put_bn(m, key->n, len);
	put_bn(m, key->x, len);
	set16(m, 2, m->len);
}

static void type50_crt(struct message *m, const struct key *key)
{
	unsigned int format = type50_format(key->len);
	size_t len = 32 << format;

	type50_header(m, 0x10 | format);
	put_bn(m, key->p, len);
	put_bn(m, key->q, len);
	put_bn(m, key->dp, len);
	put_bn(m, key->dq, len);
	put_bn(m, key->u, len);
	put_bn(m, key->x, 2 * len);
	set16(m, 2, m->len);
}

/* The headers of a request for CCA; type6_finish() when the rest is there. */
static void type6_cca(struct message *m, const char *function, const char *rule)
{
	m->len = 0;
	put_zeroes(m, TYPE6_HEADER + CPRBX_LEN);
	m->data[1] = 0x06;
	set32(m, 16, TYPE6_HEADER);
	memcpy(m->data + 32, "CA", 2);
	memcpy(m->data + 52, function, 2);
	set32(m, 72, 4096);
	set16(m, CPRBX, CPRBX_LEN);
	m->data[CPRBX + 2] = 2;
	memcpy(m->data + CPRBX + 6, "T2", 2);
	set16(m, CPRBX + 170, APQI);
	put(m, function, 2);
	put16(m, 2 + strlen(rule));
	put(m, rule, strlen(rule));
}

static void type6_finish(struct message *m)
{
	set32(m, 56, m->len - TYPE6_HEADER);
	set32(m, CPRBX + 12, m->len - PARAMETERS);
}

static void cca_mex(struct message *m, const struct key *key)
{
	size_t block, token;

	type6_cca(m, "PK", "MRP     ");
	put16(m, 2 + key->len);
	put_bn(m, key->x, key->len);
	/* lengths of the block and of what follows, flags */
	block = m->len;
	put_zeroes(m, 6);
	token = m->len;
	put_zeroes(m, 8);
	m->data[token] = 0x1e;
	/* the public section: lengths of exponent and modulus */
	put_zeroes(m, 12);
	m->data[token + 8] = 0x04;
	set16(m, token + 14, key->len);
	set16(m, token + 18, key->len);
	put_bn(m, key->e, key->len);
	put_bn(m, key->n, key->len);
	set16(m, block, m->len - block);
	set16(m, token + 2, m->len - token);
	type6_finish(m);
}

static void cca_crt(struct message *m, const struct key *key)
{
	size_t half = (key->len + 1) / 2, block, token, i;

	type6_cca(m, "PD", "ZERO-PAD");
	put16(m, 2 + key->len);
	put_bn(m, key->x, key->len);
	/* lengths of the block and of what follows, flags */
	block = m->len;
	put_zeroes(m, 6);
	token = m->len;
	put_zeroes(m, 8);
	m->data[token] = 0x1e;
	put_zeroes(m, 132);
	m->data[token + 8] = 0x08;
	for (i = 0; i < 5; i++)
		set16(m, token + 8 + 54 + 2 * i, half);
	set16(m, token + 8 + 64, key->len);
	put_bn(m, key->p, half);
	put_bn(m, key->q, half);
	put_bn(m, key->dp, half);
	put_bn(m, key->dq, half);
	put_bn(m, key->u, half);
	set16(m, block, m->len - block);
	set16(m, token + 2, m->len - token);
	type6_finish(m);
}

static void cca_random(struct message *m, uint32_t len)
{
	type6_cca(m, "RL", "RANDOM  ");
	put16(m, 2);
	put16(m, 2);
	set32(m, 76, len);
	set32(m, CPRBX + 28, len);
	type6_finish(m);
}

static void cca_query(struct message *m, const char *rule)
{
	type6_cca(m, "FQ", rule);
	put16(m, 2);
	put16(m, 2);
	type6_finish(m);
}

static void ep11_query(struct message *m, uint32_t function, uint32_t query)
{
	m->len = 0;
	put_zeroes(m, TYPE6_HEADER + 32);
	m->data[1] = 0x06;
	set32(m, 16, TYPE6_HEADER);
	memcpy(m->data + 32, "XC", 2);
	set32(m, 72, 4096);
	set16(m, TYPE6_HEADER, 32);
	m->data[TYPE6_HEADER + 2] = 4;
	set32(m, TYPE6_HEADER + 12, APQI);
	put(m, "\x30\x12\x04\x04", 4);
	put_zeroes(m, 4);
	set32(m, m->len - 4, function);
	put(m, "\x04\x04", 2);
	put_zeroes(m, 4);
	set32(m, m->len - 4, APQI);
	put(m, "\x04\x04", 2);
	put_zeroes(m, 4);
	set32(m, m->len - 4, query);
	set32(m, 56, m->len - TYPE6_HEADER);
	set32(m, TYPE6_HEADER + 28, m->len - TYPE6_HEADER - 32);
}

/* Replies */

static const APMessageContext contexts[] = {
	{ AP_MODE_ACCELERATOR, AP_MODEL_CEX8, 1, APQI, 255, {} },
	{ AP_MODE_CCA, AP_MODEL_CEX8, 2, APQI, 255, { 1ull << (63 - CONTROL) } },
	{ AP_MODE_EP11, AP_MODEL_CEX8, 3, APQI, 255, { 1ull << (63 - CONTROL) } },
};

/* What is wrong with the form of a reply, or NULL. */
static const char *reply_form(const struct message *m, const GByteArray *reply)
{
	uint32_t count1, count2, offset2;

	if (reply->len < 8 || reply->len > AP_MAX_MESSAGE)
		return "length";
	if (reply->data[0])
		return "first byte";
	switch (reply->data[1]) {
	case 0x80:
		if (lduw_be_p(reply->data + 2) != reply->len ||
		    (reply->len != 16 + 128 && reply->len != 16 + 256 &&
		     reply->len != 16 + 512))
			return "length of type 80";
		return NULL;
	case 0x82:
		if (reply->len != 8 || !reply->data[4])
			return "type 82";
		return NULL;
	case 0x86:
		if (reply->len < TYPE86_HEADER || reply->data[2] != 2 ||
		    reply->data[4])
			return "header of type 86";
		count1 = ldl_be_p(reply->data + 16);
		count2 = ldl_be_p(reply->data + 24);
		offset2 = ldl_be_p(reply->data + 28);
		if (ldl_be_p(reply->data + 20) != TYPE86_HEADER ||
		    count1 < 32 || count1 > reply->len - TYPE86_HEADER ||
		    count1 > (uint32_t)ldl_be_p(m->data + 72))
			return "control block";
		if (count2 ? offset2 != TYPE86_HEADER + count1 : offset2)
			return "place of the data";
		if (TYPE86_HEADER + count1 + count2 != reply->len ||
		    count2 > (uint32_t)ldl_be_p(m->data + 76))
			return "data";
		return NULL;
	}
	return "type";
}

/* The request is copied to where there is nothing behind it. */
static GByteArray *process(APMode mode, const struct message *m)
{
	uint8_t *request = malloc(m->len);
	const char *wrong;
	GByteArray *reply;

	memcpy(request, m->data, m->len);
	reply = ap_message_process(&contexts[mode], request, m->len);
	if (memcmp(request, m->data, m->len)) {
		test_bad = true;
		printf("# a request was changed\n");
	}
	free(request);
	wrong = reply_form(m, reply);
	if (wrong) {
		test_bad = true;
		printf("# a reply of %u bytes is malformed: %s\n", reply->len,
		       wrong);
	}
	return reply;
}

/* The code of an error reply, 0 if it is another one */
static unsigned int error_code(APMode mode, const struct message *m)
{
	GByteArray *reply = process(mode, m);
	unsigned int code = reply->data[1] == 0x82 ? reply->data[4] : 0;

	g_byte_array_unref(reply);
	return code;
}

/* Return and reason code of a CCA reply */
static uint32_t cca_code(const struct message *m)
{
	GByteArray *reply = process(AP_MODE_CCA, m);
	uint32_t code = UINT32_MAX;

	if (reply->data[1] == 0x86)
		code = ldl_be_p(reply->data + TYPE86_HEADER + 144);
	g_byte_array_unref(reply);
	return code;
}

#define ACCELERATOR_SAYS(m, code) SAME(error_code(AP_MODE_ACCELERATOR, m), code)
#define CCA_SAYS(m, code) SAME(error_code(AP_MODE_CCA, m), code)
#define EP11_SAYS(m, code) SAME(error_code(AP_MODE_EP11, m), code)
#define CCA_FAILS(m, reason) SAME(cca_code(m), 8 << 16 | (reason))

/* Is the number at the end of a reply x to the power of e modulo n? */
static void check_power(const uint8_t *data, size_t len, const struct key *key)
{
	BIGNUM *is = BN_bin2bn(data, len, NULL), *wanted = BN_new();

	BN_mod_exp(wanted, key->x, key->e, key->n, ctx);
	SAME(BN_cmp(is, wanted), 0);
	BN_free(is);
	BN_free(wanted);
}

/* ... the one number below n that is the powers modulo p and q? */
static void check_residues(const uint8_t *data, size_t len,
			   const struct key *key)
{
	BIGNUM *is = BN_bin2bn(data, len, NULL), *wanted = BN_new();
	BIGNUM *rest = BN_new();

	SAME(BN_cmp(is, key->n), -1);
	BN_mod_exp(wanted, key->x, key->dp, key->p, ctx);
	BN_mod(rest, is, key->p, ctx);
	SAME(BN_cmp(rest, wanted), 0);
	BN_mod_exp(wanted, key->x, key->dq, key->q, ctx);
	BN_mod(rest, is, key->q, ctx);
	SAME(BN_cmp(rest, wanted), 0);
	BN_free(is);
	BN_free(wanted);
	BN_free(rest);
}

static struct message message;
static struct key key1024, key2048, key4096;

static void test_accelerator_rsa(void)
{
	static const unsigned int sizes[] = {
		512, 1000, 1024, 1536, 2048, 3072, 4096,
	};
	unsigned int i;
	struct key key;
	GByteArray *reply;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t len;

		make_key(&key, sizes[i]);
		len = 64 << type50_format(key.len);
		type50_mex(&message, &key);
		reply = process(AP_MODE_ACCELERATOR, &message);
		SAME(reply->len, 16 + len);
		if (reply->len == 16 + len)
			check_power(reply->data + 16, len, &key);
		g_byte_array_unref(reply);
		type50_crt(&message, &key);
		reply = process(AP_MODE_ACCELERATOR, &message);
		SAME(reply->len, 16 + len);
		if (reply->len == 16 + len) {
			check_residues(reply->data + 16, len, &key);
			/* By Fermat, where the factors are primes */
			if (sizes[i] <= 2048)
				check_power(reply->data + 16, len, &key);
		}
		g_byte_array_unref(reply);
		free_key(&key);
	}
}

static void test_cca_rsa(void)
{
	static const struct key *const keys[] = { &key1024, &key2048, &key4096 };
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		for (k = 0; k < 2; k++) {
			const struct key *key = keys[i];
			GByteArray *reply;

			if (k)
				cca_crt(&message, key);
			else
				cca_mex(&message, key);
			reply = process(AP_MODE_CCA, &message);
			/* function, no rules, the text, no key */
			SAME(reply->len, REPLY_PARAMETERS + 8 + key->len);
			if (reply->len == REPLY_PARAMETERS + 8 + key->len) {
				const uint8_t *p = reply->data + REPLY_PARAMETERS;

				SAME(ldl_be_p(reply->data + TYPE86_HEADER + 144),
				     0);
				SAME(lduw_be_p(p), k ? 0x5044 : 0x504b);
				SAME(lduw_be_p(p + 2), 2);
				SAME(lduw_be_p(p + 4), 2 + key->len);
				SAME(lduw_be_p(p + 6 + key->len), 2);
				if (k)
					check_residues(p + 6, key->len, key);
				else
					check_power(p + 6, key->len, key);
			}
			g_byte_array_unref(reply);
		}
	}
}

static void test_cca_others(void)
{
	static const uint32_t lengths[] = { 0, 1, 256, 4096, 8192 };
	GByteArray *reply;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		cca_random(&message, lengths[i]);
		reply = process(AP_MODE_CCA, &message);
		SAME(ldl_be_p(reply->data + 24), lengths[i]);
		SAME(ldl_be_p(reply->data + TYPE86_HEADER + 144), 0);
		g_byte_array_unref(reply);
	}
	cca_random(&message, 8193);
	CCA_FAILS(&message, 72);
	cca_random(&message, UINT32_MAX);
	CCA_FAILS(&message, 72);
	cca_query(&message, "STATICSA");
	SAME(cca_code(&message), 0);
	cca_query(&message, "STATICSB");
	SAME(cca_code(&message), 0);
	cca_query(&message, "STATNOPE");
	CCA_FAILS(&message, 33);
	cca_query(&message, "STATIC");
	CCA_FAILS(&message, 72);
	/* Whatever a coprocessor may do that this one does not */
	type6_cca(&message, "KG", "");
	type6_finish(&message);
	CCA_FAILS(&message, 33);
}

static void test_ep11(void)
{
	GByteArray *reply;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		ep11_query(&message, 38, i ? 3 : 1);
		reply = process(AP_MODE_EP11, &message);
		SAME(reply->data[1], 0x86);
		/* 30 82 xx xx, function and domain, then the return value */
		SAME(lduw_be_p(reply->data + TYPE86_HEADER + 32), 0x3082);
		SAME(ldl_be_p(reply->data + TYPE86_HEADER + 32 + 18), 0);
		g_byte_array_unref(reply);
	}
	ep11_query(&message, 38, 77);
	reply = process(AP_MODE_EP11, &message);
	SAME(ldl_be_p(reply->data + TYPE86_HEADER + 32 + 18), 7);
	g_byte_array_unref(reply);
	ep11_query(&message, 12, 1);
	reply = process(AP_MODE_EP11, &message);
	SAME(ldl_be_p(reply->data + TYPE86_HEADER + 32 + 18), 0x54);
	g_byte_array_unref(reply);
}

/* The first byte of these fields must be zero. */
static void test_type50_fields(void)
{
	static const unsigned int reserved[] = {
		0, 4, 6, 7, 10, 11, 12, 13, 14, 15,
	};
	static const uint16_t formats[] = {
		0, 4, 5, 0x10, 0x14, 0x21, 0x8001, 0xffff,
	};
	unsigned int i;

	type50_mex(&message, &key1024);
	ACCELERATOR_SAYS(&message, 0);
	for (i = 0; i < 256; i++) {
		message.data[1] = i;
		ACCELERATOR_SAYS(&message, i == 0x50 ? 0 : MESSAGE_TYPE);
	}
	message.data[1] = 0x50;
	for (i = 0; i < ARRAY_SIZE(reserved); i++) {
		message.data[reserved[i]] = 1;
		ACCELERATOR_SAYS(&message, RESERVED_FIELD);
		message.data[reserved[i]] = 0;
	}
	/* "ignored" */
	message.data[5] = 0xff;
	ACCELERATOR_SAYS(&message, 0);
	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		set16(&message, 8, formats[i]);
		ACCELERATOR_SAYS(&message, FORMAT_FIELD);
	}
	/* Other formats than the length is for */
	set16(&message, 8, 2);
	ACCELERATOR_SAYS(&message, MESSAGE_LENGTH);
	set16(&message, 8, 0x11);
	ACCELERATOR_SAYS(&message, MESSAGE_LENGTH);
}

static void test_type50_lengths(void)
{
	size_t whole, len;
	unsigned int k;

	for (k = 0; k < 2; k++) {
		if (k)
			type50_crt(&message, &key1024);
		else
			type50_mex(&message, &key1024);
		whole = message.len;
		put_zeroes(&message, 16);
		/* Cut, with the length that it was, and with the one that is. */
		for (len = 0; len <= whole + 16; len++) {
			message.len = len;
			set16(&message, 2, whole);
			ACCELERATOR_SAYS(&message,
					 len == whole ? 0 : MESSAGE_LENGTH);
			set16(&message, 2, len);
			ACCELERATOR_SAYS(&message,
					 len == whole ? 0 : MESSAGE_LENGTH);
		}
	}
}

static void test_type50_operands(void)
{
	struct key key = key1024;
	BIGNUM *zero = BN_new(), *even = BN_dup(key1024.n), *one = BN_new();

	BN_zero(zero);
	BN_one(one);
	BN_clear_bit(even, 0);
	key.n = zero;
	type50_mex(&message, &key);
	ACCELERATOR_SAYS(&message, OPERAND_INVALID);
	key.n = even;
	type50_mex(&message, &key);
	ACCELERATOR_SAYS(&message, EVEN_MODULUS);
	key.n = key1024.n;
	key.e = zero;
	type50_mex(&message, &key);
	ACCELERATOR_SAYS(&message, OPERAND_INVALID);
	key.e = key1024.e;
	key.x = key.n;
	type50_mex(&message, &key);
	ACCELERATOR_SAYS(&message, OPERAND_INVALID);
	type50_crt(&message, &key);
	ACCELERATOR_SAYS(&message, OPERAND_INVALID);
	/* Odd, and allowed: everything is 0 modulo 1. */
	key.n = one;
	key.x = zero;
	type50_mex(&message, &key);
	ACCELERATOR_SAYS(&message, 0);
	key = key1024;
	key.p = zero;
	type50_crt(&message, &key);
	ACCELERATOR_SAYS(&message, OPERAND_INVALID);
	key.p = key1024.p;
	key.q = zero;
	type50_crt(&message, &key);
	ACCELERATOR_SAYS(&message, OPERAND_INVALID);
	key.q = key1024.q;
	key.dp = zero;
	type50_crt(&message, &key);
	ACCELERATOR_SAYS(&message, OPERAND_INVALID);
	key.dp = key1024.dp;
	BN_clear_bit(even, 0);
	BN_rshift(even, even, 512);
	BN_clear_bit(even, 0);
	key.p = even;
	type50_crt(&message, &key);
	ACCELERATOR_SAYS(&message, EVEN_MODULUS);
	BN_free(zero);
	BN_free(even);
	BN_free(one);
}

static void test_type6_header(void)
{
	static const uint32_t lengths[] = {
		0, 1, CPRBX_LEN - 1, 0x7fffffff, 0x80000000, UINT32_MAX,
	};
	struct message m;
	unsigned int i;
	size_t whole;

	cca_mex(&message, &key1024);
	whole = message.len;
	CCA_SAYS(&message, 0);
	for (message.len = 0; message.len < whole; message.len++)
		CCA_SAYS(&message, MESSAGE_LENGTH);
	message.len = whole;
	m = message;
	m.data[1] = 0x50;
	CCA_SAYS(&m, MESSAGE_TYPE);
	EP11_SAYS(&m, MESSAGE_TYPE);
	ACCELERATOR_SAYS(&message, MESSAGE_TYPE);
	/* The agent is another one. */
	EP11_SAYS(&message, MALFORMED);
	m = message;
	m.data[33] = 'B';
	CCA_SAYS(&m, MALFORMED);
	m = message;
	set32(&m, 16, TYPE6_HEADER + 4);
	CCA_SAYS(&m, MESSAGE_LENGTH);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		bool beyond = lengths[i] > m.len;

		m = message;
		set32(&m, 56, lengths[i]);
		CCA_SAYS(&m, beyond ? MESSAGE_LENGTH : MALFORMED);
		m = message;
		set32(&m, 60, lengths[i]);
		set32(&m, 20, message.len);
		CCA_SAYS(&m, lengths[i] ? MESSAGE_LENGTH : 0);
		m = message;
		set32(&m, CPRBX + 12, lengths[i]);
		if (lengths[i] < 2 || beyond)
			CCA_SAYS(&m, MESSAGE_LENGTH);
	}
	/* Data, where it may be, over the control block, and beyond the end */
	m = message;
	put_zeroes(&m, 8);
	set32(&m, 20, whole);
	set32(&m, 60, 8);
	CCA_SAYS(&m, 0);
	set32(&m, 20, whole - 1);
	CCA_SAYS(&m, MESSAGE_LENGTH);
	set32(&m, 20, whole + 1);
	CCA_SAYS(&m, MESSAGE_LENGTH);
	set32(&m, 20, UINT32_MAX);
	CCA_SAYS(&m, MESSAGE_LENGTH);
	/* What the program can take is not enough. */
	m = message;
	set32(&m, 72, CPRBX_LEN + 7 + 128);
	CCA_SAYS(&m, MESSAGE_LENGTH);
	set32(&m, 72, CPRBX_LEN + 8 + 128);
	CCA_SAYS(&m, 0);
}

static void test_cprbx(void)
{
	static const char *const control[] = { "T3", "T5", "T6", "T7" };
	struct message m;
	unsigned int i;

	cca_query(&message, "STATICSA");
	m = message;
	set16(&m, CPRBX, CPRBX_LEN - 1);
	CCA_SAYS(&m, MALFORMED);
	m = message;
	m.data[CPRBX + 2] = 4;
	CCA_SAYS(&m, MALFORMED);
	/* Usage requests: the queue's domain; others: any control domain */
	m = message;
	set16(&m, CPRBX + 170, APQI + 1);
	CCA_SAYS(&m, INVALID_DOMAIN);
	set16(&m, CPRBX + 170, 0xff05);
	CCA_SAYS(&m, INVALID_DOMAIN);
	for (i = 0; i < ARRAY_SIZE(control); i++) {
		memcpy(m.data + CPRBX + 6, control[i], 2);
		set16(&m, CPRBX + 170, APQI);
		CCA_SAYS(&m, INVALID_DOMAIN);
		set16(&m, CPRBX + 170, CONTROL);
		CCA_SAYS(&m, 0);
		set16(&m, CPRBX + 170, 256 + CONTROL);
		CCA_SAYS(&m, INVALID_DOMAIN);
		set16(&m, CPRBX + 170, 0xffff);
		CCA_SAYS(&m, INVALID_DOMAIN);
	}
}

/* What is wrong inside of a request is the function's to tell. */
static void test_cca_parameters(void)
{
	static const uint16_t lengths[] = { 0, 1, 0x7fff, 0x8000, 0xffff };
	const size_t rules = PARAMETERS + 2, text = rules + 10;
	const size_t block = text + 2 + 128, token = block + 6;
	struct key key = key1024;
	BIGNUM *zero = BN_new();
	struct message m;
	unsigned int i, k;

	for (k = 0; k < 2; k++) {
		if (k)
			cca_crt(&message, &key1024);
		else
			cca_mex(&message, &key1024);
		SAME(cca_code(&message), 0);
		m = message;
		memcpy(m.data + rules + 2, "PKCS-1.2", 8);
		CCA_FAILS(&m, 33);
		for (i = 0; i < ARRAY_SIZE(lengths); i++) {
			m = message;
			set16(&m, rules, lengths[i]);
			CCA_FAILS(&m, 72);
			m = message;
			set16(&m, text, lengths[i]);
			CCA_FAILS(&m, 72);
			m = message;
			set16(&m, block, lengths[i]);
			CCA_FAILS(&m, 72);
		}
		m = message;
		m.data[token] = 0x1f;
		CCA_FAILS(&m, 72);
		m = message;
		m.data[token + 8]++;
		CCA_FAILS(&m, 72);
		for (i = 2; i < ARRAY_SIZE(lengths); i++) {
			unsigned int field;

			for (field = 0; field < (k ? 6 : 2); field++) {
				m = message;
				set16(&m, token + 8 +
				      (k ? 54 + 2 * field : 6 + 4 * field),
				      lengths[i]);
				CCA_FAILS(&m, 72);
			}
		}
	}
	BN_zero(zero);
	key.n = zero;
	cca_mex(&message, &key);
	CCA_FAILS(&message, 66);
	key.n = key1024.n;
	key.x = key.n;
	cca_mex(&message, &key);
	CCA_FAILS(&message, 66);
	cca_crt(&message, &key);
	CCA_FAILS(&message, 66);
	key.x = key1024.x;
	key.p = zero;
	cca_crt(&message, &key);
	CCA_FAILS(&message, 66);
	BN_free(zero);
}

static void test_ep11_requests(void)
{
	static const uint8_t first[] = { 0x80, 0x85, 0xff, 0x7f, 0x13 };
	struct message m;
	unsigned int i;
	size_t whole;

	ep11_query(&message, 38, 1);
	whole = message.len;
	for (message.len = 0; message.len < whole; message.len++)
		EP11_SAYS(&message, MESSAGE_LENGTH);
	message.len = whole;
	EP11_SAYS(&message, 0);
	m = message;
	set16(&m, TYPE6_HEADER, 31);
	EP11_SAYS(&m, MALFORMED);
	m = message;
	m.data[TYPE6_HEADER + 2] = 2;
	EP11_SAYS(&m, MALFORMED);
	m = message;
	set32(&m, TYPE6_HEADER + 12, APQI + 1);
	EP11_SAYS(&m, INVALID_DOMAIN);
	/* An administrator's request may name a control domain. */
	m.data[TYPE6_HEADER + 5] = 0x80;
	EP11_SAYS(&m, INVALID_DOMAIN);
	set32(&m, TYPE6_HEADER + 12, CONTROL);
	EP11_SAYS(&m, 0);
	set32(&m, TYPE6_HEADER + 12, 0x80000000 | CONTROL);
	EP11_SAYS(&m, INVALID_DOMAIN);
	m = message;
	set32(&m, TYPE6_HEADER + 28, UINT32_MAX);
	EP11_SAYS(&m, MESSAGE_LENGTH);
	set32(&m, TYPE6_HEADER + 28, 0);
	EP11_SAYS(&m, MALFORMED);
	/* ASN.1 lengths that are too long, or of too many bytes */
	for (i = 0; i < ARRAY_SIZE(first); i++) {
		m = message;
		m.data[TYPE6_HEADER + 33] = first[i];
		EP11_SAYS(&m, MALFORMED);
		m = message;
		m.data[TYPE6_HEADER + 35] = first[i];
		EP11_SAYS(&m, MALFORMED);
	}
	m = message;
	set32(&m, 72, 63);
	EP11_SAYS(&m, MESSAGE_LENGTH);
}

/* Random changes of good requests */

#define CORPUS	9

static struct message corpus[CORPUS];
static APMode corpus_mode[CORPUS] = {
	AP_MODE_ACCELERATOR, AP_MODE_ACCELERATOR, AP_MODE_CCA, AP_MODE_CCA,
	AP_MODE_CCA, AP_MODE_CCA, AP_MODE_EP11, AP_MODE_EP11,
	AP_MODE_ACCELERATOR,
};

static void make_corpus(void)
{
	type50_mex(&corpus[0], &key1024);
	type50_crt(&corpus[1], &key1024);
	cca_mex(&corpus[2], &key1024);
	cca_crt(&corpus[3], &key1024);
	cca_random(&corpus[4], 256);
	cca_query(&corpus[5], "STATICSB");
	ep11_query(&corpus[6], 38, 1);
	ep11_query(&corpus[7], 38, 3);
	type50_mex(&corpus[8], &key4096);
}

/* Numbers at which something could overflow, and random ones */
static uint32_t odd_number(const struct message *m)
{
	static const uint32_t numbers[] = {
		0, 1, 2, 3, 4, 0x7f, 0x80, 0xff, 0x100, 0x200, 0x201, 0x7fff,
		0x8000, 0xfffe, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
		0xfffffffe, 0xffffffff,
	};

	switch (rnd() % 4) {
	case 0:
		return m->len + rnd() % 5 - 2;
	case 1:
		return rnd() % (m->len + 1);
	case 2:
		return rnd();
	}
	return numbers[rnd() % ARRAY_SIZE(numbers)];
}

static void change(struct message *m)
{
	size_t at, n;

	/* Most of it is in the headers. */
	at = rnd() % (rnd() % 4 ? 400 : AP_MAX_MESSAGE) % (m->len + 1);
	switch (rnd() % 7) {
	case 0:
		if (at < m->len)
			m->data[at] ^= 1 << rnd() % 8;
		break;
	case 1:
		if (at < m->len)
			m->data[at] = rnd();
		break;
	case 2:
		if (at + 2 <= m->len)
			set16(m, at & ~1, odd_number(m));
		break;
	case 3:
		if (at + 4 <= m->len)
			set32(m, at & ~3, odd_number(m));
		break;
	case 4:
		m->len = rnd() % 8 ? m->len - rnd() % (m->len / 8 + 1) : at;
		break;
	case 5:
		n = rnd() % (AP_MAX_MESSAGE - m->len + 1);
		if (rnd() % 4)
			n %= 64;
		while (n--)
			m->data[m->len++] = rnd();
		break;
	case 6:
		for (n = rnd() % 64; n && at < m->len; n--)
			m->data[at++] = rnd() % 2 ? 0 : 0xff;
		break;
	}
}

/* Where a length belongs to another one, make them fit again, mostly. */
static void mend(struct message *m)
{
	if (m->len < 16 || !(rnd() % 4))
		return;
	if (m->data[1] == 0x50) {
		set16(m, 2, m->len);
	} else if (m->len >= TYPE6_HEADER + CPRBX_LEN + 2) {
		set32(m, 56, m->len - TYPE6_HEADER);
		if (m->data[32] == 'C')
			set32(m, CPRBX + 12, m->len - PARAMETERS);
	}
}

static unsigned long rounds = 20000;

static void test_random_changes(void)
{
	unsigned long i, type[256] = {};
	unsigned int n, which;
	GByteArray *reply;
	APMode mode;

	make_corpus();
	for (i = 0; i < rounds && !test_bad; i++) {
		which = rnd() % CORPUS;
		/* The big one takes long. */
		if (which == 8 && rnd() % 16)
			which = 0;
		message.len = corpus[which].len;
		memcpy(message.data, corpus[which].data, message.len);
		for (n = rnd() % 6; n; n--)
			change(&message);
		mend(&message);
		mode = rnd() % 16 ? corpus_mode[which] : rnd() % AP_MODE__MAX;
		reply = process(mode, &message);
		type[reply->data[1]]++;
		if (test_bad)
			printf("# round %lu of mode %d, %zu bytes\n", i, mode,
			       message.len);
		g_byte_array_unref(reply);
	}
	printf("# %lu requests; replies: %lu of type 80, %lu of type 82, %lu of type 86\n",
	       i, type[0x80], type[0x82], type[0x86]);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
		{ "accelerator: RSA is what OpenSSL computes",
		  test_accelerator_rsa },
		{ "CCA: RSA is what OpenSSL computes", test_cca_rsa },
		{ "CCA: random numbers and queries", test_cca_others },
		{ "EP11: queries", test_ep11 },
		{ "type 50: fields", test_type50_fields },
		{ "type 50: lengths", test_type50_lengths },
		{ "type 50: operands", test_type50_operands },
		{ "type 6: header", test_type6_header },
		{ "CCA: control block", test_cprbx },
		{ "CCA: parameters", test_cca_parameters },
		{ "EP11: malformed requests", test_ep11_requests },
		{ "random changes", test_random_changes },
	};
	unsigned long seed = 1;
	unsigned int i;

	if (argc > 1)
		rounds = strtoul(argv[1], NULL, 0);
	if (argc > 2)
		seed = strtoul(argv[2], NULL, 0);
	random_state = seed * 0x9e3779b97f4a7c15ull | 1;
	ctx = BN_CTX_new();
	make_key(&key1024, 1024);
	make_key(&key2048, 2048);
	make_key(&key4096, 4096);
	printf("1..%zu\n", ARRAY_SIZE(tests));
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		test_bad = false;
		tests[i].run();
		nr_bad += test_bad;
		printf("%sok %u %s\n", test_bad ? "not " : "", ++nr_tests,
		       tests[i].name);
		fflush(stdout);
	}
	free_key(&key1024);
	free_key(&key2048);
	free_key(&key4096);
	BN_CTX_free(ctx);
	return !!nr_bad;
}
