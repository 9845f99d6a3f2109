// SPDX-License-Identifier: GPL-2.0
/*
 * aphw - change the AP hardware of the emulated host while it runs
 *
 * Runs in the emulated host and speaks QMP with its emulator through the
 * virtio-serial port org.vfio-ap.qmp, which the runner ('run') connects to a
 * QMP monitor. With --port it works from outside, too, on a monitor's socket.
 *
 * The devices and their properties are the emulator's: see hw/s390x/ap-adapter.c
 * and hw/s390x/ap-queue.c in tools/testing/machine/qemu.
 *
 * One file, nothing but C's library; linked statically for the emulated host.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PORT_NAME "org.vfio-ap.qmp"
#define PORT_CLASS "/sys/class/virtio-ports"
#define BRIDGE "/machine/ap-bridge"
/* Only a hang takes that long. */
#define ANSWER_MS 300000
#define OPEN_MS 300000

enum { EXIT_HARDWARE = 1, EXIT_USAGE = 2, EXIT_PORT = 3 };

static const char help[] =
"Usage: aphw [OPTION...] COMMAND\n"
"\n"
"Changes the emulated AP hardware of the machine that it runs on.\n"
"\n"
"  aphw list                     all adapters, domains and queues\n"
"  aphw adapter add N [type=cex3..cex8] [mode=accelerator|cca|ep11]\n"
"             [configured=on|off] [checkstopped=on|off] [queue-depth=1..16]\n"
"             [reset-time=MS] [reply-time=MS] [irq-time=MS] [part-time=MS]\n"
"  aphw adapter remove N\n"
"  aphw adapter N                shows it\n"
"  aphw adapter N deconfigure|configure|checkstop|recover\n"
"  aphw adapter N reset-time|reply-time|irq-time|part-time MS\n"
"                                for all of its queues\n"
"  aphw domain add N [usage=on|off] [control=on|off]\n"
"  aphw domain remove N\n"
"  aphw domain N                 shows it\n"
"  aphw domain N usage|control on|off\n"
"  aphw queue APQN               shows it\n"
"  aphw queue APQN PROPERTY      shows only that, the value: one that 'aphw queue APQN'\n"
"                                has\n"
"  aphw queue APQN reset-time|reply-time|irq-time|part-time MS\n"
"  aphw queue APQN response FUNCTION CODE [count COUNT]\n"
"  aphw queue APQN response FUNCTION none\n"
"\n"
"N is 0 to 255, decimal or hex with 0x. APQN is written as in sysfs, 05.0007.\n"
"The times are milliseconds: of a reset, from a request to its reply, from AQIC\n"
"to interrupts being on or off, and from one part of a request until the queue no\n"
"longer waits for the next. A new time also applies, from now on, to an operation\n"
"that is under way.\n"
"FUNCTION is tapq, rapq, zapq, aqic, qact, nqap or dqap. It answers response\n"
"code CODE, one or two hex digits, and does nothing else: the next COUNT times,\n"
"or until 'none'.\n"
"\n"
"  -s, --scan        afterwards make the AP bus look at its hardware (it does so\n"
"                    by itself, soon), and wait until it has done so\n"
"  -p, --port=FILE   the monitor's port, or UNIX socket\n"
"  -h, --help        this text\n"
"\n"
"Exit status: 0 done, 1 the machine refused, 2 wrong usage, 3 no connection.\n";

static void die(int status, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

static void die(int status, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("aphw: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(status);
}

static char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *text(const char *format, ...)
{
	va_list args;
	char *s;

	va_start(args, format);
	if (vasprintf(&s, format, args) < 0)
		die(EXIT_PORT, "out of memory");
	va_end(args);
	return s;
}

/* JSON, as much of it as a monitor sends. */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_type type;
	char *name;		/* in an object */
	char *string;		/* a string's or number's text, "true" or "false" */
	struct json *first;	/* of an array or object */
	struct json *next;
};

static void skip_space(const char **p)
{
	while (isspace((unsigned char)**p))
		(*p)++;
}

/* From the opening quote to the closing one, or to the end of the text. */
static size_t quoted_length(const char *p)
{
	size_t length = 1;

	while (p[length] && p[length] != '"')
		length += p[length] == '\\' && p[length + 1] ? 2 : 1;
	return length;
}

static char *parse_string(const char **p)
{
	char *s = malloc(quoted_length(*p) + 1), *to = s;

	if (!s)
		die(EXIT_PORT, "out of memory");
	for ((*p)++; **p && **p != '"'; (*p)++) {
		if (**p == '\\' && (*p)[1]) {
			(*p)++;
			switch (**p) {
			case 'n':
				*to++ = '\n';
				break;
			case 't':
				*to++ = '\t';
				break;
			default:
				*to++ = **p;
			}
		} else {
			*to++ = **p;
		}
	}
	*to = 0;
	if (**p != '"') {
		free(s);
		return NULL;
	}
	(*p)++;
	return s;
}

static struct json *parse(const char **p, int depth)
{
	struct json *value = calloc(1, sizeof(*value)), **link = &value->first;
	const char *start;
	char end;

	if (!value)
		die(EXIT_PORT, "out of memory");
	skip_space(p);
	switch (**p) {
	case '"':
		value->type = JSON_STRING;
		value->string = parse_string(p);
		return value->string ? value : NULL;
	case '{':
	case '[':
		value->type = **p == '{' ? JSON_OBJECT : JSON_ARRAY;
		end = **p == '{' ? '}' : ']';
		(*p)++;
		skip_space(p);
		if (**p == end) {
			(*p)++;
			return value;
		}
		for (;;) {
			char *name = NULL;

			skip_space(p);
			if (value->type == JSON_OBJECT) {
				if (**p != '"')
					return NULL;
				name = parse_string(p);
				skip_space(p);
				if (!name || *(*p)++ != ':')
					return NULL;
			}
			*link = depth ? parse(p, depth - 1) : NULL;
			if (!*link)
				return NULL;
			(*link)->name = name;
			link = &(*link)->next;
			skip_space(p);
			if (**p == end) {
				(*p)++;
				return value;
			}
			if (*(*p)++ != ',')
				return NULL;
		}
	default:
		start = *p;
		while (isalnum((unsigned char)**p) || strchr("+-.", **p ? **p : 'x'))
			(*p)++;
		if (*p == start)
			return NULL;
		value->string = strndup(start, *p - start);
		value->type = !strcmp(value->string, "null") ? JSON_NULL :
			      isalpha((unsigned char)*start) ? JSON_BOOL : JSON_NUMBER;
		return value;
	}
}

static struct json *member(struct json *object, const char *name)
{
	struct json *m;

	for (m = object ? object->first : NULL; m; m = m->next) {
		if (m->name && !strcmp(m->name, name))
			return m;
	}
	return NULL;
}

/* The monitor */

static int monitor = -1, turn = -1;
static const char *port;
static char *received;
static size_t received_len, received_size;

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static char *find_port(void)
{
	struct dirent *entry;
	DIR *dir = opendir(PORT_CLASS);
	char name[64];

	while (dir && (entry = readdir(dir))) {
		char *path = text(PORT_CLASS "/%s/name", entry->d_name);
		FILE *file = fopen(path, "r");

		free(path);
		if (!file)
			continue;
		if (!fgets(name, sizeof(name), file))
			name[0] = 0;
		fclose(file);
		name[strcspn(name, "\n")] = 0;
		if (!strcmp(name, PORT_NAME))
			return text("/dev/%s", entry->d_name);
	}
	die(EXIT_PORT, "this machine has no virtio-serial port named %s: is it the emulated host?",
	    PORT_NAME);
}

static void connect_monitor(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	long until = now_ms() + OPEN_MS;
	struct stat st;

	if (!port)
		port = find_port();
	if (!stat(port, &st) && S_ISSOCK(st.st_mode)) {
		if (strlen(port) >= sizeof(address.sun_path))
			die(EXIT_PORT, "%s: the name of a socket can't be that long", port);
		memcpy(address.sun_path, port, strlen(port) + 1);
		monitor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (monitor < 0 ||
		    connect(monitor, (struct sockaddr *)&address, sizeof(address)))
			die(EXIT_PORT, "%s: %s", port, strerror(errno));
		return;
	}
	/* A port can be open once at a time: wait for other aphws, in turn. */
	turn = open(PORT_CLASS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (turn >= 0 && flock(turn, LOCK_EX) && errno == EINTR)
		;
	while ((monitor = open(port, O_RDWR | O_CLOEXEC)) < 0) {
		if (errno != EBUSY || now_ms() > until)
			die(EXIT_PORT, "%s: %s", port, strerror(errno));
		usleep(5000);
	}
}

/* The next line that is JSON, freed by the caller's exit. */
static struct json *receive(long until)
{
	for (;;) {
		char *end = received_len ? memchr(received, '\n', received_len) : NULL;
		struct pollfd ready = { .fd = monitor, .events = POLLIN };
		long left;
		ssize_t n;

		if (end) {
			struct json *value;
			const char *p = received;

			*end = 0;
			value = parse(&p, 32);
			received_len -= end + 1 - received;
			memmove(received, end + 1, received_len);
			if (value)
				return value;
			/* The tail of what another aphw left unread */
			continue;
		}
		if (received_len + 4096 > received_size) {
			received_size = 2 * received_size + 4096;
			received = realloc(received, received_size);
			if (!received)
				die(EXIT_PORT, "out of memory");
		}
		left = until - now_ms();
		if (left <= 0 || poll(&ready, 1, left) <= 0)
			die(EXIT_PORT, "%s: no answer within %d seconds", port, ANSWER_MS / 1000);
		n = read(monitor, received + received_len, received_size - received_len);
		if (n <= 0)
			die(EXIT_PORT, "%s: %s", port,
			    n ? strerror(errno) : "nobody at the other end");
		received_len += n;
	}
}

/* Returns the answer: an object with "return" or "error". */
static struct json *ask(const char *command, const char *arguments)
{
	static unsigned int serial;
	char *id = text("aphw-%d-%ld-%u", getpid(), now_ms(), serial++);
	char *request = text("{\"execute\":\"%s\",\"arguments\":{%s},\"id\":\"%s\"}\n",
			     command, arguments, id);
	long until = now_ms() + ANSWER_MS;
	size_t done, len = strlen(request);

	for (done = 0; done < len;) {
		ssize_t n = write(monitor, request + done, len - done);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			die(EXIT_PORT, "%s: %s", port, strerror(errno));
		if (n > 0)
			done += n;
	}
	for (;;) {
		struct json *answer = receive(until), *its = member(answer, "id");

		/* Anything else: the greeting, events, what others asked. */
		if (its && its->string && !strcmp(its->string, id)) {
			free(request);
			free(id);
			return answer;
		}
	}
}

static const char *error_of(struct json *answer)
{
	struct json *error = member(answer, "error");
	struct json *desc = member(error, "desc");

	return desc && desc->string ? desc->string : error ? "unknown error" : NULL;
}

static struct json *request(const char *command, const char *arguments)
{
	struct json *answer = ask(command, arguments);
	const char *error = error_of(answer);

	if (error)
		die(EXIT_HARDWARE, "%s", error);
	return member(answer, "return");
}

static void open_session(void)
{
	connect_monitor();
	/* Says that it is done already if somebody was here before: fine. */
	ask("qmp_capabilities", "");
	if (error_of(ask("qom-list", "\"path\":\"" BRIDGE "\"")))
		die(EXIT_HARDWARE, "this machine has no AP instructions, so no AP hardware");
}

static void close_session(void)
{
	close(monitor);
	if (turn >= 0)
		close(turn);
}

static void set(const char *path, const char *property, const char *value)
{
	request("qom-set", text("\"path\":\"%s\",\"property\":\"%s\",\"value\":%s",
				path, property, value));
}

static const char *get(const char *path, const char *property)
{
	struct json *value = request("qom-get", text("\"path\":\"%s\",\"property\":\"%s\"",
						     path, property));

	if (!value || !value->string)
		die(EXIT_PORT, "%s: %s of %s is neither text nor number", port, property, path);
	return value->type == JSON_BOOL ? !strcmp(value->string, "true") ? "on" : "off" :
					  value->string;
}

/* Arguments */

static char **arguments;

static const char *next_argument(const char *what)
{
	if (!*arguments)
		die(EXIT_USAGE, "%s is missing; see --help", what);
	return *arguments++;
}

static void no_more_arguments(void)
{
	if (*arguments)
		die(EXIT_USAGE, "'%s' is too much; see --help", *arguments);
}

static unsigned long number(const char *s, unsigned long max, const char *what)
{
	bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(s, &end, hex ? 16 : 10);
	if (!isdigit((unsigned char)*s) || *end || errno || value > max)
		die(EXIT_USAGE, "'%s' is not %s: expected a number from 0 to %lu", s, what, max);
	return value;
}

static const char *milliseconds(const char *s)
{
	return text("%lu", number(s, 24 * 60 * 60 * 1000, "a time in milliseconds"));
}

static bool is_delay(const char *name)
{
	return !strcmp(name, "reset-time") || !strcmp(name, "reply-time") ||
	       !strcmp(name, "irq-time") || !strcmp(name, "part-time");
}

static const char *on_off(const char *s)
{
	if (!strcmp(s, "on"))
		return "true";
	if (!strcmp(s, "off"))
		return "false";
	die(EXIT_USAGE, "'%s' is neither 'on' nor 'off'", s);
}

/* name=value arguments of 'add', as members of device_add's arguments */
static char *device_properties(char *result, bool adapter)
{
	while (*arguments) {
		char *name = *arguments++, *equals = strchr(name, '=');
		const char *value;

		if (!equals)
			die(EXIT_USAGE, "'%s' is not of the form name=value", name);
		*equals = 0;
		value = equals + 1;
		if (adapter && (!strcmp(name, "type") || !strcmp(name, "mode"))) {
			if (strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789") != strlen(value))
				die(EXIT_USAGE, "'%s' is not a %s", value, name);
			result = text("%s,\"%s\":\"%s\"", result,
				      !strcmp(name, "type") ? "model" : name, value);
		} else if (adapter && is_delay(name)) {
			result = text("%s,\"%s\":%s", result, name, milliseconds(value));
		} else if (adapter && !strcmp(name, "queue-depth")) {
			result = text("%s,\"%s\":%lu", result, name,
				      number(value, 16, "a queue depth"));
		} else if (adapter ? !strcmp(name, "configured") || !strcmp(name, "checkstopped") :
				     !strcmp(name, "usage") || !strcmp(name, "control")) {
			result = text("%s,\"%s\":%s", result, name, on_off(value));
		} else {
			die(EXIT_USAGE, "there is no '%s' of %s; see --help", name,
			    adapter ? "an adapter" : "a domain");
		}
	}
	return result;
}

/* Commands */

static void show(const char *path, const char *const *properties)
{
	for (; *properties; properties++)
		printf("%s=%s%s", *properties, get(path, *properties), properties[1] ? " " : "\n");
}

static const char *const adapter_properties[] = {
	"model", "mode", "configured", "checkstopped", "queue-depth", "reset-time", "reply-time",
	"irq-time", "part-time", NULL
};

static const char *const domain_properties[] = { "usage", "control", NULL };

static const char *const queue_properties[] = {
	"state", "interrupts-enabled", "requests", "replies", "request-count", "interrupt-count",
	"reset-count", "reset-time", "reply-time", "irq-time", "part-time", NULL
};

static const char *const functions[] = {
	"tapq", "rapq", "zapq", "aqic", "qact", "nqap", "dqap", NULL
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void command_list(void)
{
	struct json *entries, *entry;
	const char **names;
	size_t n = 0, i;

	no_more_arguments();
	open_session();
	entries = request("qom-list", "\"path\":\"" BRIDGE "\"");
	for (entry = entries->first; entry; entry = entry->next)
		n++;
	names = calloc(n + 1, sizeof(*names));
	if (!names)
		die(EXIT_PORT, "out of memory");
	for (n = 0, entry = entries->first; entry; entry = entry->next) {
		struct json *name = member(entry, "name");

		if (name && name->string)
			names[n++] = name->string;
	}
	qsort(names, n, sizeof(*names), by_name);
	for (i = 0; i < n; i++) {
		unsigned int id;
		char end;

		if (sscanf(names[i], "card%2x%c", &id, &end) == 1) {
			printf("adapter 0x%02x: ", id);
			show(text(BRIDGE "/%s", names[i]), adapter_properties);
		}
	}
	for (i = 0; i < n; i++) {
		unsigned int id;
		char end;

		if (sscanf(names[i], "domain%4x%c", &id, &end) == 1) {
			printf("domain 0x%04x: ", id);
			show(text(BRIDGE "/%s", names[i]), domain_properties);
		}
	}
	for (i = 0; i < n; i++) {
		unsigned int apid, apqi;
		char end;

		if (strlen(names[i]) == 7 &&
		    sscanf(names[i], "%2x.%4x%c", &apid, &apqi, &end) == 2) {
			printf("queue %s: ", names[i]);
			show(text(BRIDGE "/%s", names[i]), queue_properties);
		}
	}
}

static void command_adapter(void)
{
	const char *verb = next_argument("'add', 'remove' or the adapter"), *path;
	unsigned long n;

	if (!strcmp(verb, "add")) {
		char *device;

		n = number(next_argument("the adapter"), 255, "an adapter");
		device = text("\"driver\":\"ap-adapter\",\"apid\":%lu", n);
		device = device_properties(device, true);
		open_session();
		request("device_add", device);
		return;
	}
	if (!strcmp(verb, "remove")) {
		n = number(next_argument("the adapter"), 255, "an adapter");
		no_more_arguments();
		open_session();
		request("device_del", text("\"id\":\"" BRIDGE "/card%02lx\"", n));
		return;
	}
	n = number(verb, 255, "an adapter, nor 'add' or 'remove'");
	path = text(BRIDGE "/card%02lx", n);
	if (!*arguments) {
		open_session();
		printf("adapter 0x%02lx: ", n);
		show(path, adapter_properties);
		return;
	}
	verb = next_argument("what to do");
	if (is_delay(verb)) {
		const char *value = milliseconds(next_argument("the time"));

		no_more_arguments();
		open_session();
		set(path, verb, value);
		return;
	}
	no_more_arguments();
	if (!strcmp(verb, "configure") || !strcmp(verb, "deconfigure")) {
		open_session();
		set(path, "configured", !strcmp(verb, "configure") ? "true" : "false");
	} else if (!strcmp(verb, "checkstop") || !strcmp(verb, "recover")) {
		open_session();
		set(path, "checkstopped", !strcmp(verb, "checkstop") ? "true" : "false");
	} else {
		die(EXIT_USAGE, "an adapter can't be asked to '%s'; see --help", verb);
	}
}

static void command_domain(void)
{
	const char *verb = next_argument("'add', 'remove' or the domain"), *path, *value;
	unsigned long n;

	if (!strcmp(verb, "add")) {
		char *device;

		n = number(next_argument("the domain"), 255, "a domain");
		device = text("\"driver\":\"ap-domain\",\"domain\":%lu", n);
		device = device_properties(device, false);
		open_session();
		request("device_add", device);
		return;
	}
	if (!strcmp(verb, "remove")) {
		n = number(next_argument("the domain"), 255, "a domain");
		no_more_arguments();
		open_session();
		request("device_del", text("\"id\":\"" BRIDGE "/domain%04lx\"", n));
		return;
	}
	n = number(verb, 255, "a domain, nor 'add' or 'remove'");
	path = text(BRIDGE "/domain%04lx", n);
	if (!*arguments) {
		open_session();
		printf("domain 0x%04lx: ", n);
		show(path, domain_properties);
		return;
	}
	verb = next_argument("'usage' or 'control'");
	if (strcmp(verb, "usage") && strcmp(verb, "control"))
		die(EXIT_USAGE, "a domain has 'usage' and 'control', not '%s'", verb);
	value = on_off(next_argument("'on' or 'off'"));
	no_more_arguments();
	open_session();
	set(path, verb, value);
}

static void force_response(const char *path)
{
	const char *function = next_argument("the function"), *code, *value;
	size_t i;

	for (i = 0; functions[i] && strcmp(functions[i], function); i++)
		;
	if (!functions[i])
		die(EXIT_USAGE, "there is no function '%s'; see --help", function);
	code = next_argument("the response code");
	if (!strcmp(code, "none")) {
		value = "none";
	} else {
		if (!strncmp(code, "0x", 2))
			code += 2;
		if (!*code || strlen(code) > 2 ||
		    strspn(code, "0123456789abcdefABCDEF") != strlen(code))
			die(EXIT_USAGE, "'%s' is neither one or two hex digits nor 'none'", code);
		value = text("%02lx", strtoul(code, NULL, 16));
		if (*arguments) {
			unsigned long count;

			if (strcmp(next_argument("'count'"), "count"))
				die(EXIT_USAGE, "only 'count COUNT' can follow a response code");
			count = number(next_argument("the count"), 1000000000, "a count");
			if (!count)
				die(EXIT_USAGE, "a count of 0 has no effect: did you mean 'none'?");
			value = text("%s,count=%lu", value, count);
		}
	}
	no_more_arguments();
	open_session();
	set(path, text("force-%s", function), text("\"%s\"", value));
}

static void command_queue(void)
{
	const char *apqn = next_argument("the queue"), *path, *verb, *value;
	unsigned int apid, apqi;
	size_t i;
	char end;

	if (strlen(apqn) != 7 || apqn[2] != '.' || strspn(apqn, "0123456789abcdefABCDEF.") != 7 ||
	    sscanf(apqn, "%2x.%4x%c", &apid, &apqi, &end) != 2 || apqi > 255)
		die(EXIT_USAGE, "'%s' is not a queue: expected the form 05.0007", apqn);
	path = text(BRIDGE "/%02x.%04x", apid, apqi);
	if (!*arguments) {
		open_session();
		printf("queue %02x.%04x: ", apid, apqi);
		show(path, queue_properties);
		for (i = 0; functions[i]; i++) {
			value = get(path, text("force-%s", functions[i]));
			if (strcmp(value, "none"))
				printf("queue %02x.%04x: response %s %s\n", apid, apqi,
				       functions[i], value);
		}
		return;
	}
	verb = next_argument("what to do");
	if (!strcmp(verb, "response")) {
		force_response(path);
		return;
	}
	for (i = 0; queue_properties[i]; i++)
		if (!strcmp(verb, queue_properties[i]))
			break;
	if (!queue_properties[i])
		die(EXIT_USAGE, "a queue has no '%s'; see --help", verb);
	if (!*arguments) {
		open_session();
		puts(get(path, verb));
		return;
	}
	if (!is_delay(verb))
		die(EXIT_USAGE, "the %s of a queue can only be shown; see --help", verb);
	value = milliseconds(next_argument("the time"));
	no_more_arguments();
	open_session();
	set(path, verb, value);
}

/*
 * Who asks for a scan while there is one only waits for its end, and that one may
 * have begun before the change. The next one has not.
 */
static void scan(void)
{
	const char *path = "/sys/bus/ap/scans";
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "1", 1) != 1 || pwrite(fd, "1", 1, 0) != 1)
		die(EXIT_HARDWARE, "%s: %s", path, strerror(errno));
	close(fd);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} commands[] = {
		{ "list", command_list }, { "adapter", command_adapter },
		{ "domain", command_domain }, { "queue", command_queue },
	};
	bool scan_after = false;
	const char *command;
	size_t i;

	(void)argc;
	for (argv++; *argv && **argv == '-'; argv++) {
		if (!strcmp(*argv, "-h") || !strcmp(*argv, "--help")) {
			fputs(help, stdout);
			return 0;
		} else if (!strcmp(*argv, "-s") || !strcmp(*argv, "--scan")) {
			scan_after = true;
		} else if (!strncmp(*argv, "--port=", 7)) {
			port = *argv + 7;
		} else if (!strcmp(*argv, "-p") && argv[1]) {
			port = *++argv;
		} else {
			die(EXIT_USAGE, "there is no option %s; see --help", *argv);
		}
	}
	arguments = argv;
	if (!*arguments) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	command = *arguments++;
	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (!strcmp(commands[i].name, command)) {
			commands[i].run();
			close_session();
			if (scan_after)
				scan();
			return 0;
		}
	}
	die(EXIT_USAGE, "there is no command '%s'; see --help", command);
}
