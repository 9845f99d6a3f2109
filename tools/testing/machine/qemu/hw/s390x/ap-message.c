/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Emulated adjunct processor hardware: requests and their replies
 *
 * Accelerators: RSA as type-50 messages, with modulus and exponent or by the
 * Chinese remainder theorem. CCA coprocessors: RSA with keys in the clear,
 * random numbers and the facility query as type-6 messages. EP11 coprocessors:
 * the information queries. Everything else is answered by the error reply that
 * says what is wrong with it.
 *
 * Requests come from guests: no length or offset in them is to be believed
 * before it was compared with the request's own length.
 *
 * Messages are described by those who make and read them: Linux,
 * drivers/s390/crypto/zcrypt_msgtype50.c, zcrypt_msgtype6.[ch],
 * zcrypt_cca_key.h, zcrypt_ccamisc.c, zcrypt_ep11misc.c, zcrypt_error.h and
 * arch/s390/include/uapi/asm/zcrypt.h.
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/guest-random.h"
#include "qemu/units.h"
#include "hw/s390x/ap-message.h"
#include <gmp.h>

/* Reply codes of type-82 replies. */
#define AP_REPLY_MESSAGE_TYPE 0x20
#define AP_REPLY_INVALID_LENGTH 0x23
#define AP_REPLY_RESERVED_FIELD 0x24
#define AP_REPLY_FORMAT_FIELD 0x29
#define AP_REPLY_MALFORMED 0x40
#define AP_REPLY_OPERAND_INVALID 0x82
#define AP_REPLY_EVEN_MODULUS 0x85
#define AP_REPLY_INVALID_DOMAIN 0x8a

/* Largest modulus, 4096 bits, in bytes. */
#define AP_MAX_MODULUS 512

typedef struct APBytes {
    const uint8_t *data;
    size_t len;
} APBytes;

static uint16_t ap_get16(const uint8_t *from)
{
    return lduw_be_p(from);
}

/* ldl_be_p() gives an int, which makes a huge length of half of all numbers. */
static uint32_t ap_get32(const uint8_t *from)
{
    return ldl_be_p(from);
}

/* Take @len bytes off the front; false, and nothing taken, if there are less */
static bool ap_take(APBytes *from, size_t len, APBytes *bytes)
{
    if (from->len < len) {
        return false;
    }
    bytes->data = from->data;
    bytes->len = len;
    from->data += len;
    from->len -= len;
    return true;
}

/* Take a block that begins with its length, which counts its own two bytes. */
static bool ap_take_block(APBytes *from, APBytes *bytes)
{
    size_t len;

    if (from->len < 2) {
        return false;
    }
    len = ap_get16(from->data);
    if (len < 2 || !ap_take(from, len, bytes)) {
        return false;
    }
    bytes->data += 2;
    bytes->len -= 2;
    return true;
}

static void ap_put(GByteArray *to, const void *data, size_t len)
{
    g_byte_array_append(to, data, len);
}

static void ap_put16(GByteArray *to, uint16_t value)
{
    value = cpu_to_be16(value);
    ap_put(to, &value, sizeof(value));
}

static void ap_put32(GByteArray *to, uint32_t value)
{
    value = cpu_to_be32(value);
    ap_put(to, &value, sizeof(value));
}

static void ap_put_zeroes(GByteArray *to, size_t len)
{
    guint old = to->len;

    g_byte_array_set_size(to, old + len);
    memset(to->data + old, 0, len);
}

static GByteArray *ap_error_reply(uint8_t code)
{
    const uint8_t header[8] = { 0, 0x82, 0, 0, code };
    GByteArray *reply = g_byte_array_new();

    ap_put(reply, header, sizeof(header));
    return reply;
}

/* RSA. Results are as long as the modulus, with zeroes in front. */

typedef struct APRsaResult {
    uint8_t data[AP_MAX_MODULUS];
    size_t len;
} APRsaResult;

static void ap_number(mpz_t n, APBytes bytes)
{
    mpz_import(n, bytes.len, 1, 1, 0, 0, bytes.data);
}

static void ap_rsa_store(APRsaResult *result, size_t len, const mpz_t n)
{
    size_t size = (mpz_sizeinbase(n, 2) + 7) / 8;

    memset(result->data, 0, sizeof(result->data));
    result->len = len;
    if (mpz_sgn(n)) {
        mpz_export(result->data + len - size, NULL, 1, 1, 0, 0, n);
    }
}

/* Zero, or the reply code that says what is wrong. */
static uint8_t ap_rsa_mod_expo(APBytes exponent, APBytes modulus, APBytes input,
                               APRsaResult *result)
{
    uint8_t code = 0;
    mpz_t e, n, x;

    mpz_inits(e, n, x, NULL);
    ap_number(e, exponent);
    ap_number(n, modulus);
    ap_number(x, input);
    if (!mpz_sgn(n) || !mpz_sgn(e)) {
        code = AP_REPLY_OPERAND_INVALID;
    } else if (mpz_even_p(n)) {
        code = AP_REPLY_EVEN_MODULUS;
    } else if (mpz_cmp(x, n) >= 0) {
        code = AP_REPLY_OPERAND_INVALID;
    } else {
        mpz_powm(x, x, e, n);
        ap_rsa_store(result, modulus.len, x);
    }
    mpz_clears(e, n, x, NULL);
    return code;
}

typedef struct APRsaCrtKey {
    APBytes p, q, dp, dq, u;
} APRsaCrtKey;

/* With u the inverse of q modulo p. @len: the modulus's length. */
static uint8_t ap_rsa_crt(const APRsaCrtKey *key, APBytes input, size_t len,
                          APRsaResult *result)
{
    mpz_t p, q, dp, dq, u, x, a, b;
    uint8_t code = 0;

    mpz_inits(p, q, dp, dq, u, x, a, b, NULL);
    ap_number(p, key->p);
    ap_number(q, key->q);
    ap_number(dp, key->dp);
    ap_number(dq, key->dq);
    ap_number(u, key->u);
    ap_number(x, input);
    if (!mpz_sgn(p) || !mpz_sgn(q) || !mpz_sgn(dp) || !mpz_sgn(dq)) {
        code = AP_REPLY_OPERAND_INVALID;
        goto out;
    }
    if (mpz_even_p(p) || mpz_even_p(q)) {
        code = AP_REPLY_EVEN_MODULUS;
        goto out;
    }
    mpz_mul(a, p, q);
    if (mpz_cmp(x, a) >= 0 || mpz_sizeinbase(a, 2) > 8 * len) {
        code = AP_REPLY_OPERAND_INVALID;
        goto out;
    }
    mpz_powm(a, x, dp, p);
    mpz_powm(b, x, dq, q);
    mpz_sub(a, a, b);
    mpz_mul(a, a, u);
    mpz_mod(a, a, p);
    mpz_mul(a, a, q);
    mpz_add(a, a, b);
    ap_rsa_store(result, len, a);
out:
    mpz_clears(p, q, dp, dq, u, x, a, b, NULL);
    return code;
}

/* Accelerators: type 50 */

static GByteArray *ap_accelerate(APBytes request)
{
    static const uint8_t reserved[] = { 0, 4, 6, 7, 10, 11, 12, 13, 14, 15 };
    uint8_t reply_header[16] = { 0, 0x80 };
    GByteArray *reply;
    APRsaResult result;
    APBytes header, input;
    size_t modulus, part;
    unsigned int i;
    uint16_t format;
    uint8_t code;
    bool crt;

    if (!ap_take(&request, 16, &header)) {
        return ap_error_reply(AP_REPLY_INVALID_LENGTH);
    }
    if (header.data[1] != 0x50) {
        return ap_error_reply(AP_REPLY_MESSAGE_TYPE);
    }
    if (ap_get16(header.data + 2) != header.len + request.len) {
        return ap_error_reply(AP_REPLY_INVALID_LENGTH);
    }
    for (i = 0; i < sizeof(reserved); i++) {
        if (header.data[reserved[i]]) {
            return ap_error_reply(AP_REPLY_RESERVED_FIELD);
        }
    }
    format = ap_get16(header.data + 8);
    crt = format & 0x10;
    /* 1, 2 or 3: up to 1024, 2048 or 4096 bits */
    if ((format & ~0x10) < 1 || (format & ~0x10) > 3) {
        return ap_error_reply(AP_REPLY_FORMAT_FIELD);
    }
    modulus = 64 << (format & ~0x10);
    part = modulus / 2;
    if (crt) {
        APRsaCrtKey key;

        if (!ap_take(&request, part, &key.p) ||
            !ap_take(&request, part, &key.q) ||
            !ap_take(&request, part, &key.dp) ||
            !ap_take(&request, part, &key.dq) ||
            !ap_take(&request, part, &key.u) ||
            !ap_take(&request, modulus, &input) || request.len) {
            return ap_error_reply(AP_REPLY_INVALID_LENGTH);
        }
        code = ap_rsa_crt(&key, input, modulus, &result);
    } else {
        APBytes e, n;

        if (!ap_take(&request, modulus, &e) ||
            !ap_take(&request, modulus, &n) ||
            !ap_take(&request, modulus, &input) || request.len) {
            return ap_error_reply(AP_REPLY_INVALID_LENGTH);
        }
        code = ap_rsa_mod_expo(e, n, input, &result);
    }
    if (code) {
        return ap_error_reply(code);
    }
    reply = g_byte_array_new();
    stw_be_p(reply_header + 2, sizeof(reply_header) + result.len);
    ap_put(reply, reply_header, sizeof(reply_header));
    ap_put(reply, result.data, result.len);
    return reply;
}

/* Coprocessors: type 6 */

#define TYPE6_HEADER_LEN 88
#define TYPE6_OFFSET1 16
#define TYPE6_OFFSET2 20
#define TYPE6_AGENT 32
#define TYPE6_TOCARDLEN1 56
#define TYPE6_TOCARDLEN2 60
#define TYPE6_FROMCARDLEN1 72
#define TYPE6_FROMCARDLEN2 76

#define TYPE86_HEADER_LEN 48
#define TYPE86_COUNT1 16
#define TYPE86_OFFSET1 20
#define TYPE86_COUNT2 24
#define TYPE86_OFFSET2 28

#define CPRBX_LEN 220
#define CPRBX_VERSION 2
#define CPRBX_FUNCTION_ID 6
#define CPRBX_REQ_PARML 12
#define CPRBX_RPL_DATAL 28
#define CPRBX_RPLD_PARML 24
#define CPRBX_RPLD_DATAL 32
#define CPRBX_RETURN_CODE 144
#define CPRBX_REASON_CODE 146
#define CPRBX_DOMAIN 170

typedef struct APType6 {
    /* Control block: CPRB and what follows it. */
    APBytes control;
    /* What the program is ready to take, in bytes. */
    size_t max_control;
    size_t max_data;
} APType6;

/* Zero, or the reply code that says what is wrong. */
static uint8_t ap_type6_parse(APBytes request, const char agent[2],
                              APType6 *type6)
{
    APBytes header, all = request, skip;
    size_t data_len;

    if (!ap_take(&request, TYPE6_HEADER_LEN, &header)) {
        return AP_REPLY_INVALID_LENGTH;
    }
    if (header.data[1] != 0x06) {
        return AP_REPLY_MESSAGE_TYPE;
    }
    if (memcmp(header.data + TYPE6_AGENT, agent, 2)) {
        return AP_REPLY_MALFORMED;
    }
    if (ap_get32(header.data + TYPE6_OFFSET1) != TYPE6_HEADER_LEN ||
        !ap_take(&request, ap_get32(header.data + TYPE6_TOCARDLEN1),
                 &type6->control)) {
        return AP_REPLY_INVALID_LENGTH;
    }
    /* Behind it, there may be data. */
    data_len = ap_get32(header.data + TYPE6_TOCARDLEN2);
    if (data_len && (!ap_take(&all, ap_get32(header.data + TYPE6_OFFSET2),
                              &skip) ||
                     skip.len < TYPE6_HEADER_LEN + type6->control.len ||
                     !ap_take(&all, data_len, &skip))) {
        return AP_REPLY_INVALID_LENGTH;
    }
    type6->max_control = ap_get32(header.data + TYPE6_FROMCARDLEN1);
    type6->max_data = ap_get32(header.data + TYPE6_FROMCARDLEN2);
    return 0;
}

static GByteArray *ap_type86_reply(const GByteArray *control,
                                   const GByteArray *data)
{
    uint8_t header[TYPE86_HEADER_LEN] = { 0, 0x86, 0x02 };
    GByteArray *reply = g_byte_array_new();

    stl_be_p(header + TYPE86_COUNT1, control->len);
    stl_be_p(header + TYPE86_OFFSET1, sizeof(header));
    if (data && data->len) {
        stl_be_p(header + TYPE86_COUNT2, data->len);
        stl_be_p(header + TYPE86_OFFSET2, sizeof(header) + control->len);
    }
    ap_put(reply, header, sizeof(header));
    ap_put(reply, control->data, control->len);
    if (data) {
        ap_put(reply, data->data, data->len);
    }
    return reply;
}

/* CCA */

typedef struct APCcaResult {
    uint16_t return_code;
    uint16_t reason_code;
    GByteArray *parameters;
    GByteArray *data;
} APCcaResult;

#define CCA_RC_ERROR 8
/* Return code 8: a value is not supported. */
#define CCA_RS_NOT_SUPPORTED 33
/* Return code 8: the lengths in a request do not fit. */
#define CCA_RS_LENGTH 72
/* Return code 8: an operand of an RSA operation is not valid. */
#define CCA_RS_OPERAND 66

/* The function code, without rules, text and key. */
static void ap_cca_fail(APCcaResult *result, uint16_t reason)
{
    result->return_code = CCA_RC_ERROR;
    result->reason_code = reason;
    g_byte_array_set_size(result->parameters, 2);
    ap_put16(result->parameters, 2);
    ap_put16(result->parameters, 2);
    ap_put16(result->parameters, 2);
}

/* Rules are words of 8 bytes: is this the only one? */
static bool ap_cca_is_rule(APBytes rules, const char *rule)
{
    return rules.len == 8 && !memcmp(rules.data, rule, 8);
}

/* The result of an RSA operation: the text, and no key. */
static void ap_cca_put_text(APCcaResult *result, const APRsaResult *text)
{
    ap_put16(result->parameters, 2);
    ap_put16(result->parameters, text->len + 2);
    ap_put(result->parameters, text->data, text->len);
    ap_put16(result->parameters, 2);
}

/* After the rules: the text, then a key block, in it a key token. */
static bool ap_cca_take_key(APBytes *parameters, APBytes *text, APBytes *key)
{
    APBytes skip;

    return ap_take_block(parameters, text) &&
           ap_take_block(parameters, key) &&
           /* length and flags, then the token's header */
           ap_take(key, 4, &skip) && ap_take(key, 8, &skip) &&
           skip.data[0] == 0x1e;
}

static void ap_cca_mod_expo(APBytes parameters, APCcaResult *result)
{
    APBytes text, key, section, e, n;
    APRsaResult rsa;

    if (!ap_cca_take_key(&parameters, &text, &key) ||
        !ap_take(&key, 12, &section) || section.data[0] != 0x04 ||
        !ap_take(&key, ap_get16(section.data + 6), &e) ||
        !ap_take(&key, ap_get16(section.data + 10), &n) ||
        n.len > AP_MAX_MODULUS || e.len > AP_MAX_MODULUS ||
        text.len > AP_MAX_MODULUS) {
        ap_cca_fail(result, CCA_RS_LENGTH);
        return;
    }
    if (ap_rsa_mod_expo(e, n, text, &rsa)) {
        ap_cca_fail(result, CCA_RS_OPERAND);
        return;
    }
    ap_cca_put_text(result, &rsa);
}

static void ap_cca_crt(APBytes parameters, APCcaResult *result)
{
    APBytes text, token, section;
    APRsaResult rsa;
    APRsaCrtKey key;
    size_t modulus;

    if (!ap_cca_take_key(&parameters, &text, &token) ||
        !ap_take(&token, 132, &section) || section.data[0] != 0x08 ||
        !ap_take(&token, ap_get16(section.data + 54), &key.p) ||
        !ap_take(&token, ap_get16(section.data + 56), &key.q) ||
        !ap_take(&token, ap_get16(section.data + 58), &key.dp) ||
        !ap_take(&token, ap_get16(section.data + 60), &key.dq) ||
        !ap_take(&token, ap_get16(section.data + 62), &key.u) ||
        key.p.len > AP_MAX_MODULUS || key.q.len > AP_MAX_MODULUS ||
        key.dp.len > AP_MAX_MODULUS || key.dq.len > AP_MAX_MODULUS ||
        key.u.len > AP_MAX_MODULUS || text.len > AP_MAX_MODULUS) {
        ap_cca_fail(result, CCA_RS_LENGTH);
        return;
    }
    modulus = ap_get16(section.data + 64);
    if (modulus > AP_MAX_MODULUS) {
        ap_cca_fail(result, CCA_RS_LENGTH);
        return;
    }
    if (ap_rsa_crt(&key, text, modulus, &rsa)) {
        ap_cca_fail(result, CCA_RS_OPERAND);
        return;
    }
    ap_cca_put_text(result, &rsa);
}

static void ap_cca_random(size_t len, APCcaResult *result)
{
    if (len > 8 * KiB) {
        ap_cca_fail(result, CCA_RS_LENGTH);
        return;
    }
    ap_put16(result->parameters, 2);
    g_byte_array_set_size(result->data, len);
    qemu_guest_getrandom_nofail(result->data->data, len);
}

/*
 * The facility query tells the serial number, and that there are no master
 * keys: every one of its states is '1'.
 */
static void ap_cca_query(const APMessageContext *context, APBytes parameters,
                         APCcaResult *result)
{
    size_t states, values;
    char serial[9];
    APBytes rules;
    unsigned int i;

    if (!ap_take_block(&parameters, &rules) || rules.len < 8) {
        ap_cca_fail(result, CCA_RS_LENGTH);
        return;
    }
    if (!memcmp(rules.data, "STATICSA", 8)) {
        states = 10;
        values = 204;
    } else if (!memcmp(rules.data, "STATICSB", 8)) {
        states = 13;
        values = 240;
    } else {
        ap_cca_fail(result, CCA_RS_NOT_SUPPORTED);
        return;
    }
    snprintf(serial, sizeof(serial), "93EMUL%02x", context->apid);
    ap_put16(result->parameters, 2 + states * 8);
    ap_put(result->parameters, serial, 8);
    for (i = 1; i < states; i++) {
        ap_put(result->parameters, "1       ", 8);
    }
    ap_put16(result->parameters, 2 + values);
    ap_put_zeroes(result->parameters, values);
}

static GByteArray *ap_cca(const APMessageContext *context, APBytes request)
{
    g_autoptr(GByteArray) parameters = g_byte_array_new();
    g_autoptr(GByteArray) data = g_byte_array_new();
    g_autoptr(GByteArray) control = g_byte_array_new();
    APCcaResult result = { .parameters = parameters, .data = data };
    APBytes cprb, parameter_block, code;
    uint16_t domain;
    APType6 type6;
    uint8_t error;

    error = ap_type6_parse(request, "CA", &type6);
    if (error) {
        return ap_error_reply(error);
    }
    if (!ap_take(&type6.control, CPRBX_LEN, &cprb) ||
        ap_get16(cprb.data) != CPRBX_LEN ||
        cprb.data[CPRBX_VERSION] != 0x02) {
        return ap_error_reply(AP_REPLY_MALFORMED);
    }
    if (!ap_take(&type6.control, ap_get32(cprb.data + CPRBX_REQ_PARML),
                 &parameter_block) ||
        !ap_take(&parameter_block, 2, &code)) {
        return ap_error_reply(AP_REPLY_INVALID_LENGTH);
    }
    /* "T2" uses the queue's own domain, the others change any they may. */
    domain = ap_get16(cprb.data + CPRBX_DOMAIN);
    if (!memcmp(cprb.data + CPRBX_FUNCTION_ID, "T2", 2) ?
        domain != context->apqi :
        domain > UINT8_MAX || !ap_mask_test(context->adm, domain)) {
        return ap_error_reply(AP_REPLY_INVALID_DOMAIN);
    }

    ap_put(parameters, code.data, code.len);
    if (!memcmp(code.data, "PK", 2) || !memcmp(code.data, "PD", 2)) {
        APBytes rules;

        if (!ap_take_block(&parameter_block, &rules)) {
            ap_cca_fail(&result, CCA_RS_LENGTH);
        } else if (!ap_cca_is_rule(rules, "MRP     ") &&
                   !ap_cca_is_rule(rules, "ZERO-PAD")) {
            ap_cca_fail(&result, CCA_RS_NOT_SUPPORTED);
        } else if (code.data[1] == 'K') {
            ap_cca_mod_expo(parameter_block, &result);
        } else {
            ap_cca_crt(parameter_block, &result);
        }
    } else if (!memcmp(code.data, "RL", 2)) {
        ap_cca_random(MIN(type6.max_data,
                          ap_get32(cprb.data + CPRBX_RPL_DATAL)), &result);
    } else if (!memcmp(code.data, "FQ", 2)) {
        ap_cca_query(context, parameter_block, &result);
    } else {
        ap_cca_fail(&result, CCA_RS_NOT_SUPPORTED);
    }
    if (CPRBX_LEN + parameters->len > type6.max_control) {
        return ap_error_reply(AP_REPLY_INVALID_LENGTH);
    }

    ap_put(control, cprb.data, cprb.len);
    stl_be_p(control->data + CPRBX_RPLD_PARML, parameters->len);
    stl_be_p(control->data + CPRBX_RPLD_DATAL, data->len);
    stw_be_p(control->data + CPRBX_RETURN_CODE, result.return_code);
    stw_be_p(control->data + CPRBX_REASON_CODE, result.reason_code);
    ap_put(control, parameters->data, parameters->len);
    return ap_type86_reply(control, data);
}

/* EP11: a CPRB of 32 bytes and ASN.1 */

#define EP11_CPRB_LEN 32
#define EP11_VERSION 2
#define EP11_FLAGS 5
#define EP11_TARGET 12
#define EP11_RETURN_CODE 16
#define EP11_PAYLOAD_LEN 28
#define EP11_FLAG_ADMIN 0x80

#define EP11_GET_XCP_INFO 38
#define EP11_QUERY_MODULE 1
#define EP11_QUERY_DOMAIN 3
/* CKR_ARGUMENTS_BAD and CKR_FUNCTION_NOT_SUPPORTED of PKCS #11 */
#define EP11_ARGUMENTS_BAD 0x07
#define EP11_NOT_SUPPORTED 0x54

/* Take an ASN.1 element with this tag. */
static bool ap_take_asn1(APBytes *from, uint8_t tag, APBytes *value)
{
    APBytes rest = *from, byte, length;
    size_t len, i;

    if (!ap_take(&rest, 1, &byte) || byte.data[0] != tag ||
        !ap_take(&rest, 1, &byte)) {
        return false;
    }
    len = byte.data[0];
    if (len >= 0x80) {
        if (len > 0x84 || !ap_take(&rest, len - 0x80, &length)) {
            return false;
        }
        for (i = 0, len = 0; i < length.len; i++) {
            len = len << 8 | length.data[i];
        }
    }
    if (!ap_take(&rest, len, value)) {
        return false;
    }
    *from = rest;
    return true;
}

/* Take a number: an octet string of one to four bytes. */
static bool ap_take_asn1_number(APBytes *from, uint32_t *number)
{
    APBytes value;
    size_t i;

    if (!ap_take_asn1(from, 0x04, &value) || !value.len || value.len > 4) {
        return false;
    }
    for (i = 0, *number = 0; i < value.len; i++) {
        *number = *number << 8 | value.data[i];
    }
    return true;
}

static void ap_put_asn1_number(GByteArray *to, uint32_t number)
{
    const uint8_t head[2] = { 0x04, 0x04 };

    ap_put(to, head, sizeof(head));
    ap_put32(to, number);
}

static void ap_put_asn1(GByteArray *to, uint8_t tag, const GByteArray *value)
{
    const uint8_t head[2] = { tag, 0x82 };

    ap_put(to, head, sizeof(head));
    ap_put16(to, value->len);
    ap_put(to, value->data, value->len);
}

/* The module: firmware, serial number, no mode of operation restricted. */
static void ap_ep11_module_info(const APMessageContext *context,
                                GByteArray *info)
{
    char serial[17];

    ap_put32(info, 3 + context->model);     /* ordinal number of the API */
    ap_put32(info, 0);                      /* firmware ID */
    ap_put16(info, (context->model + 3) << 8);  /* firmware version */
    ap_put16(info, 0);                      /* version of the host's library */
    ap_put_zeroes(info, 3 * 32);            /* hashes */
    snprintf(serial, sizeof(serial), "93EMUL%02x        ", context->apid);
    ap_put(info, serial, 16);
    ap_put(info, "2026010100000000", 16);   /* module's date and time */
    ap_put_zeroes(info, 8);                 /* modes of operation */
    ap_put_zeroes(info, 2 * 4);             /* flags */
    ap_put32(info, context->max_domain + 1);
    ap_put_zeroes(info, 9 * 4);             /* sizes */
}

/* A domain without any wrapping key, in imprint mode. */
static void ap_ep11_domain_info(const APMessageContext *context,
                                GByteArray *info)
{
    ap_put32(info, context->apqi);
    ap_put_zeroes(info, 2 * 32);            /* verification patterns */
    ap_put32(info, 0);                      /* flags */
    ap_put_zeroes(info, 8);                 /* modes of operation */
}

/* What the function gives, and its return value. */
static uint32_t ap_ep11_function(const APMessageContext *context,
                                 uint32_t function, APBytes arguments,
                                 GByteArray *output)
{
    uint32_t query;

    /* The left half is the version of the API. */
    if ((function & 0xffff) != EP11_GET_XCP_INFO) {
        return EP11_NOT_SUPPORTED;
    }
    if (!ap_take_asn1_number(&arguments, &query)) {
        return EP11_ARGUMENTS_BAD;
    }
    switch (query) {
    case EP11_QUERY_MODULE:
        ap_ep11_module_info(context, output);
        return 0;
    case EP11_QUERY_DOMAIN:
        ap_ep11_domain_info(context, output);
        return 0;
    default:
        return EP11_ARGUMENTS_BAD;
    }
}

static GByteArray *ap_ep11(const APMessageContext *context, APBytes request)
{
    g_autoptr(GByteArray) output = g_byte_array_new();
    g_autoptr(GByteArray) payload = g_byte_array_new();
    g_autoptr(GByteArray) control = g_byte_array_new();
    APBytes cprb, arguments, sequence;
    uint32_t function, domain, target, rv;
    APType6 type6;
    uint8_t error;

    error = ap_type6_parse(request, "XC", &type6);
    if (error) {
        return ap_error_reply(error);
    }
    if (!ap_take(&type6.control, EP11_CPRB_LEN, &cprb) ||
        ap_get16(cprb.data) != EP11_CPRB_LEN ||
        cprb.data[EP11_VERSION] != 0x04) {
        return ap_error_reply(AP_REPLY_MALFORMED);
    }
    if (!ap_take(&type6.control, ap_get32(cprb.data + EP11_PAYLOAD_LEN),
                 &arguments)) {
        return ap_error_reply(AP_REPLY_INVALID_LENGTH);
    }
    target = ap_get32(cprb.data + EP11_TARGET);
    if (cprb.data[EP11_FLAGS] & EP11_FLAG_ADMIN ?
        target > UINT8_MAX || !ap_mask_test(context->adm, target) :
        target != context->apqi) {
        return ap_error_reply(AP_REPLY_INVALID_DOMAIN);
    }
    if (!ap_take_asn1(&arguments, 0x30, &sequence) ||
        !ap_take_asn1_number(&sequence, &function) ||
        !ap_take_asn1_number(&sequence, &domain)) {
        return ap_error_reply(AP_REPLY_MALFORMED);
    }

    rv = ap_ep11_function(context, function, sequence, output);
    ap_put_asn1_number(payload, function);
    ap_put_asn1_number(payload, domain);
    ap_put_asn1_number(payload, rv);
    ap_put_asn1(payload, 0x04, output);

    ap_put(control, cprb.data, cprb.len);
    ap_put_asn1(control, 0x30, payload);
    stl_be_p(control->data + EP11_RETURN_CODE, 0);
    stl_be_p(control->data + EP11_PAYLOAD_LEN, control->len - EP11_CPRB_LEN);
    if (control->len > type6.max_control) {
        return ap_error_reply(AP_REPLY_INVALID_LENGTH);
    }
    return ap_type86_reply(control, NULL);
}

GByteArray *ap_message_process(const APMessageContext *context,
                               const uint8_t *request, size_t len)
{
    APBytes bytes = { request, len };

    switch (context->mode) {
    case AP_MODE_ACCELERATOR:
        return ap_accelerate(bytes);
    case AP_MODE_CCA:
        return ap_cca(context, bytes);
    default:
        return ap_ep11(context, bytes);
    }
}
