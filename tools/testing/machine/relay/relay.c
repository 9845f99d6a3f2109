// SPDX-License-Identifier: GPL-2.0
/*
 * The caller's side of the emulated host: starts the emulator, passes the
 * standard streams between the caller and the command that runs inside, ends
 * with the command's exit status, and never leaves an emulator behind.
 *
 *   relay [OPTION...] -- EMULATOR ARGUMENT...
 *
 * The emulator inherits one end of a socket as file descriptor 3, and is
 * expected to have the port FRAME_PORT connected to it. A line of text on
 * standard error tells of every failure that is not the command's own.
 *
 * It is used a second time in the emulated host, for the guests there. Such a
 * guest can be migrated: with --may-leave, an emulator that ends well before the
 * command does is no failure that is told of, but the word "left" in the file of
 * --failure. A guest that arrives is up with its first frame.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#include "frame.h"

/* Exit statuses of our own; the same as those of timeout(1). */
#define STATUS_TIMEOUT	124
#define STATUS_MACHINE	125

#define QUIT_KEY	0x1d	/* Ctrl-] */

static int boot_seconds = 300, watchdog_seconds = 60, timeout_seconds;
static bool terminal, no_input, may_leave;
static const char *name = "run", *emulator_log, *failure_file;

static pid_t emulator;
static int host = -1;
static struct termios cooked;
static bool raw;

static volatile sig_atomic_t ended_by, emulator_ended, resized;

static void on_signal(int signal)
{
	switch (signal) {
	case SIGCHLD:
		emulator_ended = 1;
		break;
	case SIGWINCH:
		resized = 1;
		break;
	default:
		if (!ended_by)
			ended_by = signal;
	}
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Waits at most @ms for the emulator to end. Returns whether it has. */
static bool emulator_gone(int ms, int *how)
{
	long long end = now_ms() + ms;

	for (;;) {
		pid_t pid = waitpid(emulator, how, WNOHANG);

		if (pid == emulator || (pid < 0 && errno == ECHILD))
			return true;
		if (now_ms() >= end)
			return false;
		usleep(2000);
	}
}

static void __attribute__((noreturn)) finish(int status)
{
	int how;

	if (emulator > 0) {
		kill(emulator, SIGTERM);
		if (!emulator_gone(2000, &how)) {
			kill(emulator, SIGKILL);
			waitpid(emulator, &how, 0);
		}
	}
	if (raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &cooked);
	exit(status);
}

/* For the script that started us: this status is not the command's. */
static void note_failure(int status, const char *text)
{
	int fd;

	if (status != STATUS_MACHINE || !failure_file)
		return;
	fd = open(failure_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd >= 0) {
		write_all(fd, text, strlen(text));
		close(fd);
	}
}

static void __attribute__((noreturn, format(printf, 2, 3)))
finish_with(int status, const char *format, ...)
{
	va_list args;

	if (raw) {
		tcsetattr(STDIN_FILENO, TCSADRAIN, &cooked);
		raw = false;
		fputc('\n', stderr);
	}
	note_failure(status, "");
	fprintf(stderr, "%s: ", name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	finish(status);
}

static void __attribute__((noreturn)) finish_by_signal(void)
{
	if (ended_by == SIGALRM)
		finish_with(STATUS_TIMEOUT, "the command did not end within %d s",
			    timeout_seconds);
	finish_with(128 + ended_by, "ended by %s", strsignal(ended_by));
}

static void __attribute__((noreturn)) finish_without_emulator(void)
{
	int how = 0;

	if (!emulator_gone(2000, &how))
		finish_with(STATUS_MACHINE, "the emulator closed its connection");
	emulator = 0;
	if (WIFSIGNALED(how))
		finish_with(STATUS_MACHINE, "the emulator was ended by %s",
			    strsignal(WTERMSIG(how)));
	if (WEXITSTATUS(how))
		finish_with(STATUS_MACHINE, "the emulator failed (status %d)",
			    WEXITSTATUS(how));
	if (may_leave) {
		note_failure(STATUS_MACHINE, "left\n");
		finish(STATUS_MACHINE);
	}
	finish_with(STATUS_MACHINE,
		    "the machine went down before the command had ended");
}

static void start_emulator(char **argv)
{
	int pair[2], log;
	sigset_t none;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		finish_with(STATUS_MACHINE, "socketpair: %s", strerror(errno));
	emulator = fork();
	if (emulator < 0)
		finish_with(STATUS_MACHINE, "fork: %s", strerror(errno));
	if (emulator) {
		close(pair[1]);
		host = pair[0];
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The terminal's Ctrl-C is for us: we end the emulator. */
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	log = open(emulator_log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	log = open("/dev/null", O_RDONLY);
	dup2(log, STDIN_FILENO);
	/* dup2 of a descriptor to itself would leave it close-on-exec. */
	if (pair[1] == 3)
		fcntl(3, F_SETFD, 0);
	else
		dup2(pair[1], 3);
	execv(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* Writes to the caller without being stuck when told to end. */
static void deliver(int fd, const char *data, size_t length, const sigset_t *open_mask)
{
	while (length) {
		/* A pipe that can be written to takes so much at once. */
		size_t piece = length < 4096 ? length : 4096;
		struct pollfd poll = { .fd = fd, .events = POLLOUT };
		ssize_t n;

		if (ppoll(&poll, 1, NULL, open_mask) < 0) {
			if (ended_by)
				finish_by_signal();
			continue;
		}
		n = write(fd, data, piece);
		if (n < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			/* As if the command itself had written there. */
			if (errno == EPIPE)
				finish(128 + SIGPIPE);
			finish_with(STATUS_MACHINE, "writing the output: %s",
				    strerror(errno));
		}
		data += n;
		length -= n;
	}
}

static void send_size(void)
{
	struct winsize winsize;
	uint16_t size[2];

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &winsize))
		return;
	size[0] = htons(winsize.ws_row);
	size[1] = htons(winsize.ws_col);
	frame_send(host, FRAME_WINSIZE, size, sizeof(size));
}

/* Reads standard input and sends it. Returns how much, 0 at its end. */
static size_t send_input(size_t room)
{
	static char buffer[FRAME_PAYLOAD];
	ssize_t n = read(STDIN_FILENO, buffer, room < sizeof(buffer) ? room : sizeof(buffer));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) {
		no_input = true;
		n = 0;
	}
	if (terminal && memchr(buffer, QUIT_KEY, n))
		finish_with(128 + SIGINT, "ended by Ctrl-]");
	frame_send(host, FRAME_IN, buffer, n);
	return n;
}

static void __attribute__((noreturn)) relay(const sigset_t *open_mask)
{
	static char payload[FRAME_PAYLOAD];
	long long started = now_ms(), heard = started;
	size_t window = FRAME_WINDOW;
	bool up = false, end_sent = false;

	for (;;) {
		bool want = up && !no_input && window;
		struct pollfd fds[] = {
			{ .fd = host, .events = POLLIN },
			{ .fd = want ? STDIN_FILENO : -1, .events = POLLIN },
		};
		struct timespec wait = { .tv_sec = 1 };
		struct frame frame;
		uint32_t value = 0;
		int ready = ppoll(fds, 2, &wait, open_mask);

		if (ended_by)
			finish_by_signal();
		if (ready < 0) {
			fds[0].revents = 0;
			fds[1].revents = 0;
		}
		if (resized && up) {
			resized = 0;
			send_size();
		}
		if (up && no_input && !end_sent) {
			frame_send(host, FRAME_IN, NULL, 0);
			end_sent = true;
		}
		if (fds[1].revents) {
			window -= send_input(window);
			end_sent = no_input;
		}
		if (!fds[0].revents) {
			if (emulator_ended && ready <= 0)
				finish_without_emulator();
			if (!up && boot_seconds && now_ms() - started > boot_seconds * 1000LL)
				finish_with(STATUS_MACHINE,
					    "the machine was not up within %d s",
					    boot_seconds);
			if (up && watchdog_seconds &&
			    now_ms() - heard > watchdog_seconds * 1000LL)
				finish_with(STATUS_MACHINE,
					    "the machine hangs: no sign of life for %d s",
					    watchdog_seconds);
			continue;
		}
		if (frame_receive(host, &frame, payload))
			finish_without_emulator();
		if (frame.length == sizeof(value)) {
			memcpy(&value, payload, sizeof(value));
			value = ntohl(value);
		}
		/* A machine that comes from elsewhere has said hello there. */
		if (!up && timeout_seconds)
			alarm(timeout_seconds);
		up = true;
		switch (frame.type) {
		case FRAME_OUT:
			deliver(STDOUT_FILENO, payload, frame.length, open_mask);
			break;
		case FRAME_ERR:
			deliver(STDERR_FILENO, payload, frame.length, open_mask);
			break;
		case FRAME_TAKEN:
			window += value;
			break;
		case FRAME_EXIT:
			finish(value);
		case FRAME_FAILED:
			finish_with(STATUS_MACHINE, "%.*s", (int)frame.length, payload);
		}
		heard = now_ms();
	}
}

static int seconds(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*end || end == text || value < 0 || value > 1000000) {
		fprintf(stderr, "%s: '%s' is not a number of seconds\n", name, text);
		exit(STATUS_MACHINE);
	}
	return value;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "name", required_argument, NULL, 'N' },
		{ "boot-timeout", required_argument, NULL, 'b' },
		{ "timeout", required_argument, NULL, 't' },
		{ "watchdog", required_argument, NULL, 'w' },
		{ "terminal", no_argument, NULL, 'T' },
		{ "no-input", no_argument, NULL, 'n' },
		{ "may-leave", no_argument, NULL, 'm' },
		{ "emulator-log", required_argument, NULL, 'l' },
		{ "failure", required_argument, NULL, 'f' },
		{}
	};
	int option;

	emulator_log = "/dev/null";
	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (option) {
		case 'N':
			name = optarg;
			break;
		case 'b':
			boot_seconds = seconds(optarg);
			break;
		case 't':
			timeout_seconds = seconds(optarg);
			break;
		case 'w':
			watchdog_seconds = seconds(optarg);
			break;
		case 'T':
			terminal = true;
			break;
		case 'n':
			no_input = true;
			break;
		case 'm':
			may_leave = true;
			break;
		case 'f':
			failure_file = optarg;
			break;
		case 'l':
			emulator_log = optarg;
			break;
		default:
			exit(STATUS_MACHINE);
		}
	}
	if (optind == argc) {
		fprintf(stderr, "%s: no emulator to start\n", name);
		exit(STATUS_MACHINE);
	}
}

int main(int argc, char **argv)
{
	static const int handled[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGCHLD, SIGWINCH,
	};
	struct sigaction action = { .sa_handler = on_signal };
	pid_t parent = getppid();
	sigset_t blocked, open_mask;

	parse(argc, argv);
	sigemptyset(&open_mask);
	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof(handled) / sizeof(*handled); i++) {
		sigaddset(&blocked, handled[i]);
		sigaction(handled[i], &action, NULL);
	}
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* If the script that started us is killed, so is the machine. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		return STATUS_MACHINE;

	if (terminal) {
		struct termios settings;

		if (tcgetattr(STDIN_FILENO, &cooked))
			finish_with(STATUS_MACHINE, "standard input is no terminal");
		settings = cooked;
		cfmakeraw(&settings);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &settings);
		raw = true;
	} else if (isatty(STDIN_FILENO)) {
		no_input = true;
	}
	start_emulator(argv + optind);
	relay(&open_mask);
}
