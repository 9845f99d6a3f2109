// SPDX-License-Identifier: GPL-2.0
/*
 * RSA on crypto adapters, through the ioctls ICARSAMODEXPO and ICARSACRT of
 * /dev/z90crypt, with random keys and inputs. What an adapter answers is
 * compared with what libcrypto computes in software.
 *
 *   zcrypt-rsa [OPTION...]		('zcrypt-rsa --help')
 *
 * Keys need not be of use to anyone: an adapter does modular exponentiation
 * for any odd modulus, and by the Chinese remainder theorem for any two odd
 * numbers without a common divisor. So no primes have to be found first.
 */
#define _GNU_SOURCE
#include <asm/zcrypt.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/bn.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_BYTES	512	/* 4096 bits */
#define MAX_JOBS	64
#define CLASS		"/sys/class/zcrypt"

/* zcrypt wants p, dp and u eight bytes longer than q and dq. */
#define CRT_PAD		8

struct request {
	size_t bytes;			/* of the modulus */
	uint8_t input[MAX_BYTES], output[MAX_BYTES];
	/* with modulus and exponent */
	uint8_t exponent[MAX_BYTES], modulus[MAX_BYTES];
	/* by the Chinese remainder theorem */
	uint8_t p[MAX_BYTES / 2 + CRT_PAD], q[MAX_BYTES / 2];
	uint8_t dp[MAX_BYTES / 2 + CRT_PAD], dq[MAX_BYTES / 2];
	uint8_t u[MAX_BYTES / 2 + CRT_PAD];
};

static const char *device = "/dev/z90crypt";
static char node[64];		/* a node of our own, to be removed */
static int fd = -1;
static bool quiet;
static BN_CTX *ctx;
static volatile sig_atomic_t ended;

static void on_signal(int signal)
{
	(void)signal;
	ended = 1;
}

static void remove_node(void)
{
	int out;

	if (!node[0])
		return;
	if (fd >= 0)
		close(fd);
	fd = -1;
	out = open(CLASS "/destroy", O_WRONLY | O_CLOEXEC);
	if (out >= 0) {
		if (write(out, node, strlen(node)) < 0)
			perror("zcrypt-rsa: " CLASS "/destroy");
		close(out);
	}
	node[0] = '\0';
}

static void __attribute__((noreturn, format(printf, 1, 2)))
fail(const char *format, ...)
{
	va_list args;

	fputs("zcrypt-rsa: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

static void sysfs_write(const char *path, const char *text)
{
	int out = open(path, O_WRONLY | O_CLOEXEC);

	if (out < 0 || write(out, text, strlen(text)) < 0)
		fail("%s: writing '%s': %s", path, text, strerror(errno));
	close(out);
}

/* A device node of zcrypt's that admits this queue and no other. */
static void make_node(const char *queue)
{
	static char path[128];
	unsigned int apid, domain;
	char text[32], attribute[160];
	struct stat st;
	int end = 0;

	if (sscanf(queue, "%2x.%4x%n", &apid, &domain, &end) != 2 || queue[end] ||
	    apid > 255 || domain > 255)
		fail("--queue '%s': expected ADAPTER.DOMAIN in hex, as in 05.0006", queue);
	snprintf(path, sizeof(path), "/sys/bus/ap/devices/%02x.%04x", apid, domain);
	if (stat(path, &st))
		fail("--queue '%s': there is no such queue", queue);
	snprintf(text, sizeof(text), "rsa-%d", getpid());
	sysfs_write(CLASS "/create", text);
	strcpy(node, text);
	atexit(remove_node);
	snprintf(attribute, sizeof(attribute), CLASS "/%s/apmask", node);
	snprintf(text, sizeof(text), "+%u", apid);
	sysfs_write(attribute, text);
	snprintf(attribute, sizeof(attribute), CLASS "/%s/aqmask", node);
	snprintf(text, sizeof(text), "+%u", domain);
	sysfs_write(attribute, text);
	snprintf(attribute, sizeof(attribute), CLASS "/%s/ioctlmask", node);
	snprintf(text, sizeof(text), "+%u,+%u", (unsigned int)_IOC_NR(ICARSAMODEXPO),
		 (unsigned int)_IOC_NR(ICARSACRT));
	sysfs_write(attribute, text);
	snprintf(path, sizeof(path), "/dev/%s", node);
	device = path;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* Zero, or the errno. */
static int mod_expo(struct request *request)
{
	struct ica_rsa_modexpo arg = {
		.inputdata = request->input,
		.inputdatalength = request->bytes,
		.outputdata = request->output,
		.outputdatalength = request->bytes,
		.b_key = request->exponent,
		.n_modulus = request->modulus,
	};

	return ioctl(fd, ICARSAMODEXPO, &arg) ? errno : 0;
}

static int crt(struct request *request)
{
	struct ica_rsa_modexpo_crt arg = {
		.inputdata = request->input,
		.inputdatalength = request->bytes,
		.outputdata = request->output,
		.outputdatalength = request->bytes,
		.bp_key = request->dp,
		.bq_key = request->dq,
		.np_prime = request->p,
		.nq_prime = request->q,
		.u_mult_inv = request->u,
	};

	return ioctl(fd, ICARSACRT, &arg) ? errno : 0;
}

#define MUST(call)							\
	do {								\
		if (!(call))						\
			fail("libcrypto: %s failed", #call);		\
	} while (0)

static void store(const BIGNUM *number, uint8_t *to, size_t bytes)
{
	MUST(BN_bn2binpad(number, to, bytes) >= 0);
}

/* Software's answer to a random request is left in @expected. */
static void make_mod_expo(struct request *request, unsigned int bits, bool public,
			  uint8_t *expected)
{
	BIGNUM *n, *e, *x, *y;

	BN_CTX_start(ctx);
	n = BN_CTX_get(ctx);
	e = BN_CTX_get(ctx);
	x = BN_CTX_get(ctx);
	y = BN_CTX_get(ctx);
	MUST(y);
	request->bytes = bits / 8;
	MUST(BN_rand(n, bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD));
	MUST(BN_rand_range(x, n));
	if (public)
		MUST(BN_set_word(e, 65537));
	else
		MUST(BN_rand(e, bits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ODD));
	MUST(BN_mod_exp(y, x, e, n, ctx));
	store(n, request->modulus, request->bytes);
	store(e, request->exponent, request->bytes);
	store(x, request->input, request->bytes);
	store(y, expected, request->bytes);
	BN_CTX_end(ctx);
}

static void make_crt(struct request *request, unsigned int bits, uint8_t *expected)
{
	size_t half = bits / 16;
	BIGNUM *p, *q, *dp, *dq, *u, *n, *x, *y;

	BN_CTX_start(ctx);
	p = BN_CTX_get(ctx);
	q = BN_CTX_get(ctx);
	dp = BN_CTX_get(ctx);
	dq = BN_CTX_get(ctx);
	u = BN_CTX_get(ctx);
	n = BN_CTX_get(ctx);
	x = BN_CTX_get(ctx);
	y = BN_CTX_get(ctx);
	MUST(y);
	request->bytes = bits / 8;
	do {
		MUST(BN_rand(p, bits / 2, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD));
		MUST(BN_rand(q, bits / 2, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD));
		if (BN_cmp(p, q) < 0)
			BN_swap(p, q);
	} while (!BN_gcd(n, p, q, ctx) || !BN_is_one(n));
	MUST(BN_rand(dp, bits / 2, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ODD));
	MUST(BN_mod(dp, dp, p, ctx));
	MUST(BN_rand(dq, bits / 2, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ODD));
	MUST(BN_mod(dq, dq, q, ctx));
	MUST(BN_mod_inverse(u, q, p, ctx));
	MUST(BN_mul(n, p, q, ctx));
	MUST(BN_rand_range(x, n));
	memset(request->p, 0, CRT_PAD);
	memset(request->dp, 0, CRT_PAD);
	memset(request->u, 0, CRT_PAD);
	store(p, request->p + CRT_PAD, half);
	store(q, request->q, half);
	store(dp, request->dp + CRT_PAD, half);
	store(dq, request->dq, half);
	store(u, request->u + CRT_PAD, half);
	store(x, request->input, request->bytes);
	/* n is the first half's result, y the second's. */
	MUST(BN_mod_exp(n, x, dp, p, ctx));
	MUST(BN_mod_exp(y, x, dq, q, ctx));
	MUST(BN_mod_sub(n, n, y, p, ctx));
	MUST(BN_mod_mul(n, n, u, p, ctx));
	MUST(BN_mul(n, n, q, ctx));
	MUST(BN_add(y, y, n));
	store(y, expected, request->bytes);
	BN_CTX_end(ctx);
}

/* The number of wrong answers. */
static unsigned int run(unsigned int bits, bool by_crt, unsigned int count)
{
	unsigned int wrong = 0, failed = 0, i;
	double hardware = 0, software = 0;
	static struct request request;
	uint8_t expected[MAX_BYTES];
	int error = 0;

	for (i = 0; i < count && !ended; i++) {
		double start = now(), between;
		int ret;

		if (by_crt)
			make_crt(&request, bits, expected);
		else
			make_mod_expo(&request, bits, i & 1, expected);
		memset(request.output, 0xa5, sizeof(request.output));
		between = now();
		ret = by_crt ? crt(&request) : mod_expo(&request);
		hardware += now() - between;
		software += between - start;
		if (ret) {
			failed++;
			error = ret;
		} else if (memcmp(request.output, expected, request.bytes)) {
			wrong++;
		}
	}
	if (failed)
		printf("RSA %4u bits, %s: %u of %u requests failed: %s\n", bits,
		       by_crt ? "CRT " : "n, e", failed, count, strerror(error));
	if (wrong)
		printf("RSA %4u bits, %s: %u of %u answers are WRONG\n", bits,
		       by_crt ? "CRT " : "n, e", wrong, count);
	if (!failed && !wrong && !ended && !quiet)
		printf("RSA %4u bits, %s: %3u right, %7.1f/s (software: %.1f/s)\n", bits,
		       by_crt ? "CRT " : "n, e", count, count / hardware, count / software);
	return failed + wrong;
}

/* Requests that are wrong. */

static const char *error_name(int error)
{
	return error ? strerrorname_np(error) : "no error";
}

static unsigned int refused(const char *what, int wanted, int is)
{
	if (is != wanted)
		printf("%s: %s instead of %s\n", what, error_name(is), error_name(wanted));
	else if (!quiet)
		printf("%s: %s\n", what, error_name(is));
	return is != wanted;
}

static unsigned int malformed_mod_expo(void)
{
	struct ica_rsa_modexpo good, arg;
	struct request request = {}, zero = {};
	uint8_t expected[MAX_BYTES];
	unsigned int wrong = 0;

	make_mod_expo(&request, 1024, true, expected);
	good = (struct ica_rsa_modexpo) {
		.inputdata = request.input,
		.inputdatalength = request.bytes,
		.outputdata = request.output,
		/* Only as much as the input is written. */
		.outputdatalength = ~0u,
		.b_key = request.exponent,
		.n_modulus = request.modulus,
	};

#define TRY(what, wanted, change)					\
	do {								\
		arg = good;						\
		change;							\
		wrong += refused("n, e: " what, wanted,			\
				 ioctl(fd, ICARSAMODEXPO, &arg) ? errno : 0); \
	} while (0)

	TRY("no length", EINVAL, arg.inputdatalength = 0);
	TRY("longer than any adapter takes", ENODEV, arg.inputdatalength = MAX_BYTES + 1);
	TRY("length 2^31", ENODEV, arg.inputdatalength = 1u << 31);
	TRY("length 2^32 - 1", ENODEV, arg.inputdatalength = ~0u);
	TRY("output shorter than input", EINVAL, arg.outputdatalength = request.bytes - 1);
	TRY("input from nowhere", EFAULT, arg.inputdata = NULL);
	TRY("exponent from nowhere", EFAULT, arg.b_key = NULL);
	TRY("modulus from nowhere", EFAULT, arg.n_modulus = NULL);
	TRY("output to nowhere", EFAULT, arg.outputdata = NULL);
	TRY("modulus 0", EINVAL, arg.n_modulus = zero.modulus);
	request.modulus[request.bytes - 1] ^= 1;
	TRY("even modulus", EINVAL, (void)0);
	request.modulus[request.bytes - 1] ^= 1;
	TRY("input = modulus", EINVAL, arg.inputdata = request.modulus);
	memset(zero.input, 0xff, sizeof(zero.input));
	TRY("input > modulus", EINVAL, arg.inputdata = zero.input);
#undef TRY
	wrong += refused("n, e: no request at all", EFAULT,
			 ioctl(fd, ICARSAMODEXPO, NULL) ? errno : 0);
	return wrong;
}

static unsigned int malformed_crt(void)
{
	struct request request = {}, zero = {};
	struct ica_rsa_modexpo_crt good, arg;
	uint8_t expected[MAX_BYTES];
	unsigned int wrong = 0;

	make_crt(&request, 1024, expected);
	good = (struct ica_rsa_modexpo_crt) {
		.inputdata = request.input,
		.inputdatalength = request.bytes,
		.outputdata = request.output,
		/* Only as much as the input is written. */
		.outputdatalength = ~0u,
		.bp_key = request.dp,
		.bq_key = request.dq,
		.np_prime = request.p,
		.nq_prime = request.q,
		.u_mult_inv = request.u,
	};

#define TRY(what, wanted, change)					\
	do {								\
		arg = good;						\
		change;							\
		wrong += refused("CRT: " what, wanted,			\
				 ioctl(fd, ICARSACRT, &arg) ? errno : 0); \
	} while (0)

	TRY("no length", EINVAL, arg.inputdatalength = 0);
	TRY("longer than any adapter takes", ENODEV, arg.inputdatalength = MAX_BYTES + 2);
	TRY("output shorter than input", EINVAL, arg.outputdatalength = request.bytes - 1);
	TRY("input from nowhere", EFAULT, arg.inputdata = NULL);
	TRY("p from nowhere", EFAULT, arg.np_prime = NULL);
	TRY("q from nowhere", EFAULT, arg.nq_prime = NULL);
	TRY("dp from nowhere", EFAULT, arg.bp_key = NULL);
	TRY("dq from nowhere", EFAULT, arg.bq_key = NULL);
	TRY("u from nowhere", EFAULT, arg.u_mult_inv = NULL);
	TRY("output to nowhere", EFAULT, arg.outputdata = NULL);
	TRY("p = 0", EINVAL, arg.np_prime = zero.p);
	TRY("q = 0", EINVAL, arg.nq_prime = zero.q);
	request.p[request.bytes / 2 + CRT_PAD - 1] ^= 1;
	TRY("even p", EINVAL, (void)0);
	request.p[request.bytes / 2 + CRT_PAD - 1] ^= 1;
	request.q[request.bytes / 2 - 1] ^= 1;
	TRY("even q", EINVAL, (void)0);
	request.q[request.bytes / 2 - 1] ^= 1;
	memset(zero.input, 0xff, sizeof(zero.input));
	TRY("input > modulus", EINVAL, arg.inputdata = zero.input);
#undef TRY
	wrong += refused("CRT: no request at all", EFAULT,
			 ioctl(fd, ICARSACRT, NULL) ? errno : 0);
	return wrong;
}

static void usage(FILE *to)
{
	fputs("Usage: zcrypt-rsa [OPTION...]\n"
	      "\n"
	      "Does RSA with random keys on crypto adapters, and compares the answers with\n"
	      "software's.\n"
	      "\n"
	      "  --queue=05.0006   on this queue and no other (needs root)\n"
	      "  --device=FILE     on the queues of this device node (default /dev/z90crypt)\n"
	      "  --bits=N[,N...]   lengths of the modulus, multiples of 16 from 256 to 4096\n"
	      "                    (default 512,1024,2048,4096)\n"
	      "  --count=N         requests of each kind and length (default 4)\n"
	      "  --seconds=N       go on, round after round, for so long, or until SIGTERM\n"
	      "  --pause=MS        wait so long before every round but the first\n"
	      "  --jobs=N          by so many processes at the same time\n"
	      "  --malformed       send requests that are wrong, and see them refused\n"
	      "  --quiet           tell only what went wrong\n"
	      "\n"
	      "Exit status: 0 all answers are right, 1 some are not, 2 it could not be tried.\n",
	      to);
}

static long number(const char *option, const char *text, long least, long most)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (end == text || *end || value < least || value > most)
		fail("%s '%s': expected a number from %ld to %ld", option, text, least, most);
	return value;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "queue", required_argument, NULL, 'q' },
		{ "device", required_argument, NULL, 'd' },
		{ "bits", required_argument, NULL, 'b' },
		{ "count", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 's' },
		{ "pause", required_argument, NULL, 'p' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "malformed", no_argument, NULL, 'm' },
		{ "quiet", no_argument, NULL, 'Q' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	unsigned int bits[16] = { 512, 1024, 2048, 4096 }, nr_bits = 4, i;
	unsigned int count = 4, seconds = 0, pause_ms = 0, jobs = 1, wrong = 0;
	unsigned int nr_children = 0;
	bool malformed = false;
	const char *queue = NULL;
	pid_t children[MAX_JOBS];
	double end;
	char *item;
	int option;

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'q':
			queue = optarg;
			break;
		case 'd':
			device = optarg;
			break;
		case 'b':
			nr_bits = 0;
			while ((item = strsep(&optarg, ","))) {
				if (nr_bits == sizeof(bits) / sizeof(*bits))
					fail("--bits: too many");
				bits[nr_bits] = number("--bits", item, 256, 8 * MAX_BYTES);
				if (bits[nr_bits++] % 16)
					fail("--bits '%s': not a multiple of 16", item);
			}
			break;
		case 'c':
			count = number("--count", optarg, 1, 1000000);
			break;
		case 's':
			seconds = number("--seconds", optarg, 1, 1000000);
			break;
		case 'p':
			pause_ms = number("--pause", optarg, 0, 1000000);
			break;
		case 'j':
			jobs = number("--jobs", optarg, 1, MAX_JOBS);
			break;
		case 'm':
			malformed = true;
			break;
		case 'Q':
			quiet = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return 2;
	}
	setlinebuf(stdout);
	ctx = BN_CTX_new();
	MUST(ctx);
	if (queue)
		make_node(queue);
	fd = open(device, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail("%s: %s", device, strerror(errno));
	if (malformed)
		wrong += malformed_mod_expo() + malformed_crt();
	end = now() + seconds;
	while (jobs > 1) {
		pid_t child = fork();

		if (child < 0)
			fail("fork: %s", strerror(errno));
		if (!child) {
			/* The node is the parent's to remove. */
			node[0] = '\0';
			nr_children = 0;
			break;
		}
		children[nr_children++] = child;
		jobs--;
	}
	for (;;) {
		for (i = 0; i < nr_bits; i++)
			for (int by_crt = 0; by_crt < 2; by_crt++)
				wrong += run(bits[i], by_crt, count);
		if (now() >= end || wrong || ended)
			break;
		usleep(1000 * pause_ms);
	}
	for (i = 0; i < nr_children; i++) {
		int how;

		if (ended)
			kill(children[i], SIGTERM);
		if (waitpid(children[i], &how, 0) != children[i] || how)
			wrong++;
	}
	return wrong ? 1 : 0;
}
