// SPDX-License-Identifier: GPL-2.0
/*
 * The init of the emulated host and of its guests: prepares the system in as few steps as possible,
 * runs one command, passes its standard streams and its exit status on to the
 * relay on the caller's side, and has nothing else to do.
 *
 * The caller leaves what is wanted in the directory exported as "machine". A machine
 * that can be migrated has no such directory, but an archive at the port that the word
 * machine=PORT on the kernel's command line names. What is wanted:
 *   argv	the command, each argument ended by a zero byte; none: a login shell
 *   env	the environment, each variable ended by a zero byte
 *   load	modules to load before the command, one per line
 *   hostname	the machine's name (without it: vfio-ap)
 *   address	that of the first network device, in a network of 256 addresses
 *   terminal	if it exists, the command gets a terminal (rows and columns)
 *   modules	what is found at /lib/modules
 *   host		if it exists, the directory exported as "host" goes to /run/host: another
 *		machine's of this kind, with modules and a kernel
 *   share	if it exists, the directory exported as "share" goes to /mnt
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"

#define MACHINE		"/run/machine"
#define HOST		"/run/host"
#define P9_OPTIONS	"trans=virtio,version=9p2000.L,msize=512000,"

static int port = -1;

static void __attribute__((noreturn)) power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

/* Tells the caller why there is no command to wait for, and ends. */
static void __attribute__((noreturn, format(printf, 1, 2)))
fail(const char *format, ...)
{
	char text[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "init: %s\n", text);
	if (port >= 0) {
		frame_send(port, FRAME_FAILED, text, strlen(text));
		/* The relay ends the machine; this is for when it does not. */
		sleep(10);
	}
	power_off();
}

static void mount_or_fail(const char *what, const char *where, const char *type,
			  unsigned long flags, const char *options)
{
	if (mount(what, where, type, flags, options))
		fail("mounting %s (%s) at %s: %s", what, type, where,
		     strerror(errno));
}

/* The root file system is read-only: changes go to memory. */
static void make_root(void)
{
	mount_or_fail("tmpfs", "/run", "tmpfs", 0, "mode=755");
	if (mkdir("/run/upper", 0755) || mkdir("/run/work", 0755) ||
	    mkdir("/run/root", 0755))
		fail("preparing the root: %s", strerror(errno));
	mount_or_fail("overlay", "/run/root", "overlay", 0,
		      "lowerdir=/,upperdir=/run/upper,workdir=/run/work");
	mount_or_fail("/dev", "/run/root/dev", NULL, MS_MOVE, NULL);
	if (chdir("/run/root") || syscall(SYS_pivot_root, ".", "mnt") ||
	    umount2("/mnt", MNT_DETACH) || chdir("/"))
		fail("changing the root: %s", strerror(errno));
}

static void mount_file_systems(void)
{
	mount_or_fail("proc", "/proc", "proc", 0, NULL);
	mount_or_fail("sysfs", "/sys", "sysfs", 0, NULL);
	mount_or_fail("tmpfs", "/run", "tmpfs", 0, "mode=755");
	mount_or_fail("tmpfs", "/tmp", "tmpfs", 0, "mode=1777");
	if (mkdir("/dev/pts", 0755) || mkdir("/dev/shm", 01777) ||
	    mkdir("/run/lock", 01777) || mkdir(MACHINE, 0755))
		fail("making directories: %s", strerror(errno));
	mount_or_fail("devpts", "/dev/pts", "devpts", 0, "mode=620,ptmxmode=666");
	mount_or_fail("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777");
	/* A kernel of the caller's may do without these. */
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	symlink("/proc/self/fd", "/dev/fd");
	symlink("/proc/self/fd/0", "/dev/stdin");
	symlink("/proc/self/fd/1", "/dev/stdout");
	symlink("/proc/self/fd/2", "/dev/stderr");
}

/* /dev/virtio-ports/NAME, as udev would make them. */
static void name_ports(void)
{
	const char *class = "/sys/class/virtio-ports";
	struct dirent *entry;
	DIR *dir = opendir(class);

	if (!dir)
		fail("the kernel has no virtio serial ports");
	mkdir("/dev/virtio-ports", 0755);
	while ((entry = readdir(dir))) {
		char path[512], name[128], node[512];
		ssize_t n;
		int fd;

		snprintf(path, sizeof(path), "%s/%s/name", class, entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, name, sizeof(name) - 1);
		close(fd);
		if (n <= 0)
			continue;
		name[n] = '\0';
		name[strcspn(name, "\n")] = '\0';
		snprintf(path, sizeof(path), "/dev/virtio-ports/%s", name);
		snprintf(node, sizeof(node), "../%s", entry->d_name);
		symlink(node, path);
	}
	closedir(dir);
}

static void start_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (!ioctl(fd, SIOCGIFFLAGS, &request)) {
		request.ifr_flags |= IFF_UP;
		ioctl(fd, SIOCSIFFLAGS, &request);
	}
	close(fd);
}

static void set_address(int fd, unsigned long what, const char *text)
{
	struct ifreq request = { .ifr_name = "eth0" };
	struct sockaddr_in address = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, text, &address.sin_addr) != 1)
		fail("'%s' is no network address", text);
	memcpy(&request.ifr_addr, &address, sizeof(address));
	if (ioctl(fd, what, &request))
		fail("setting the address of eth0: %s", strerror(errno));
}

/* The first network device, which takes some time to appear. */
static void start_network(char *address)
{
	struct ifreq request = { .ifr_name = "eth0" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("the kernel has no network: %s", strerror(errno));
	for (int i = 0; ioctl(fd, SIOCGIFFLAGS, &request); i++) {
		if (i == 30000)
			fail("no network device eth0");
		usleep(10000);
	}
	address[strcspn(address, "\n")] = '\0';
	set_address(fd, SIOCSIFADDR, address);
	set_address(fd, SIOCSIFNETMASK, "255.255.255.0");
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request))
		fail("starting eth0: %s", strerror(errno));
	close(fd);
}

static void open_port(void)
{
	/* The port's name arrives some time after its device. */
	for (int i = 0; i < 30000; i++) {
		name_ports();
		port = open("/dev/virtio-ports/" FRAME_PORT, O_RDWR | O_CLOEXEC);
		if (port >= 0)
			return;
		usleep(10000);
	}
	fail("no port named " FRAME_PORT);
}

/* The file's content with a zero byte behind it, or NULL without a file. */
static char *read_file(const char *path, size_t *length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0, room = 65536;
	char *text;

	if (fd < 0)
		return NULL;
	text = malloc(room);
	for (;;) {
		ssize_t n;

		if (!text)
			fail("out of memory reading %s", path);
		n = read(fd, text + have, room - have - 1);
		if (n < 0)
			fail("reading %s: %s", path, strerror(errno));
		if (!n)
			break;
		have += n;
		if (have + 1 == room) {
			room *= 2;
			text = realloc(text, room);
		}
	}
	close(fd);
	text[have] = '\0';
	if (length)
		*length = have;
	return text;
}

/* A NULL-terminated vector of the zero-terminated strings in a file. */
static char **read_vector(const char *path)
{
	size_t length = 0, count = 0;
	char *text = read_file(path, &length);
	char **vector;

	for (size_t i = 0; i < length; i++)
		count += !text[i];
	vector = calloc(count + 1, sizeof(*vector));
	if (!vector)
		fail("out of memory reading %s", path);
	for (size_t i = 0; i < count; i++) {
		vector[i] = text;
		text += strlen(text) + 1;
	}
	return vector;
}

/* Runs a program; ends the machine if that fails. */
static void run_or_fail(char *const argv[], const char *what, const char *name)
{
	char said[2048];
	size_t have = 0;
	int out[2], status;
	pid_t child;

	if (pipe2(out, O_CLOEXEC))
		fail("pipe: %s", strerror(errno));
	child = fork();
	if (!child) {
		dup2(out[1], STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	while (have < sizeof(said) - 1) {
		ssize_t n = read(out[0], said + have, sizeof(said) - 1 - have);

		if (n <= 0)
			break;
		have += n;
	}
	close(out[0]);
	said[have] = '\0';
	while (have && said[have - 1] == '\n')
		said[--have] = '\0';
	if (child < 0 || waitpid(child, &status, 0) < 0)
		fail("starting %s: %s", argv[0], strerror(errno));
	if (status)
		fail("%s %s failed: %s", what, name, have ? said : "no reason given");
}

/* Loads a module as an administrator would. */
static void load_module(char *name)
{
	char *const argv[] = { "/sbin/modprobe", "--", name, NULL };

	run_or_fail(argv, "loading", name);
}

/* What the caller wants, from an archive that comes through a port. */
static void unpack_wishes(const char *name)
{
	char path[256];
	char *const argv[] = { "/bin/tar", "-C", MACHINE, "-xBf", path, NULL };

	snprintf(path, sizeof(path), "/dev/virtio-ports/%s", name);
	for (int i = 0; access(path, R_OK); i++) {
		if (i == 30000)
			fail("no port named %s", name);
		usleep(10000);
		name_ports();
	}
	run_or_fail(argv, "unpacking", path);
}

/* The standard streams of the command, this side of them. */
static struct {
	pid_t pid;
	int in, out, err;
	bool terminal;
	char pending[FRAME_WINDOW];	/* standard input not yet taken */
	size_t pending_length;
	bool in_ends;
} command = { .in = -1, .out = -1, .err = -1 };

static void __attribute__((noreturn)) exec_command(char **argv)
{
	static const char not_found[] = "command not found in this machine";
	sigset_t none;
	int error;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (argv[0]) {
		execvp(argv[0], argv);
		error = errno;
		fprintf(stderr, "init: %s: %s\n", argv[0],
			error == ENOENT ? not_found : strerror(error));
		_exit(error == ENOENT ? 127 : 126);
	}
	execl("/bin/bash", "-bash", NULL);
	fprintf(stderr, "init: bash: %s\n", strerror(errno));
	_exit(126);
}

static void start_on_terminal(char **argv)
{
	char *size = read_file(MACHINE "/terminal", NULL);
	struct winsize winsize = { .ws_row = 24, .ws_col = 80 };
	int master, zero = 0, slave;
	char name[64];
	unsigned int number;

	if (sscanf(size, "%hu %hu", &winsize.ws_row, &winsize.ws_col) != 2)
		fail("no terminal size in '%s'", size);
	master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || ioctl(master, TIOCSPTLCK, &zero) ||
	    ioctl(master, TIOCGPTN, &number))
		fail("no terminal: %s", strerror(errno));
	ioctl(master, TIOCSWINSZ, &winsize);
	snprintf(name, sizeof(name), "/dev/pts/%u", number);
	command.terminal = true;
	command.in = master;
	command.out = dup(master);
	command.pid = fork();
	if (command.pid)
		return;
	setsid();
	slave = open(name, O_RDWR);
	if (slave < 0 || ioctl(slave, TIOCSCTTY, 0))
		_exit(126);
	dup2(slave, 0);
	dup2(slave, 1);
	dup2(slave, 2);
	if (slave > 2)
		close(slave);
	exec_command(argv);
}

static void start_on_pipes(char **argv)
{
	int in[2], out[2], err[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		fail("pipe: %s", strerror(errno));
	command.in = in[1];
	command.out = out[0];
	command.err = err[0];
	command.pid = fork();
	if (!command.pid) {
		setsid();
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		exec_command(argv);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
}

static void send_or_end(enum frame_type type, const void *payload, size_t length)
{
	if (frame_send(port, type, payload, length))
		power_off();
}

/* Passes on what can be read now. Returns how much that was. */
static ssize_t pass_on(int *fd, enum frame_type type)
{
	static char buffer[FRAME_PAYLOAD];
	ssize_t n;

	if (*fd < 0)
		return 0;
	n = read(*fd, buffer, sizeof(buffer));
	if (n > 0) {
		send_or_end(type, buffer, n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(*fd);
		*fd = -1;
	}
	return n > 0 ? n : 0;
}

static void taken(size_t length)
{
	uint32_t count = htonl(length);

	send_or_end(FRAME_TAKEN, &count, sizeof(count));
}

static void feed(void)
{
	ssize_t n;

	if (command.in >= 0 && command.pending_length) {
		n = write(command.in, command.pending, command.pending_length);
		if (n > 0) {
			command.pending_length -= n;
			memmove(command.pending, command.pending + n,
				command.pending_length);
			taken(n);
		} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			close(command.in);
			command.in = -1;
		}
	}
	if (command.in < 0 && command.pending_length) {
		/* Nobody reads it any more. */
		taken(command.pending_length);
		command.pending_length = 0;
	}
	if (command.in >= 0 && command.in_ends && !command.pending_length) {
		/* A terminal has no end of its own: say it as a person would. */
		if (command.terminal)
			write(command.in, "\004", 1);
		else
			close(command.in);
		command.in = -1;
	}
}

static void receive(void)
{
	static char payload[FRAME_PAYLOAD];
	struct winsize winsize = {};
	struct frame frame;
	uint16_t size[2];

	if (frame_receive(port, &frame, payload))
		power_off();
	switch (frame.type) {
	case FRAME_IN:
		if (!frame.length) {
			command.in_ends = true;
		} else if (frame.length <=
			   sizeof(command.pending) - command.pending_length) {
			memcpy(command.pending + command.pending_length,
			       payload, frame.length);
			command.pending_length += frame.length;
		}
		break;
	case FRAME_WINSIZE:
		if (frame.length != sizeof(size) || !command.terminal)
			break;
		memcpy(size, payload, sizeof(size));
		winsize.ws_row = ntohs(size[0]);
		winsize.ws_col = ntohs(size[1]);
		ioctl(command.out, TIOCSWINSZ, &winsize);
		break;
	}
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Relays until the command has ended; returns its status as a shell has it. */
static int relay(void)
{
	long long alive = now_ms();
	int status = -1;

	fcntl(command.in, F_SETFL, O_NONBLOCK);
	fcntl(command.out, F_SETFL, O_NONBLOCK);
	if (command.err >= 0)
		fcntl(command.err, F_SETFL, O_NONBLOCK);
	while (status < 0) {
		struct pollfd fds[] = {
			{ .fd = port, .events = POLLIN },
			{ .fd = command.out, .events = POLLIN },
			{ .fd = command.err, .events = POLLIN },
			{ .fd = command.pending_length ? command.in : -1,
			  .events = POLLOUT },
		};
		struct timespec wait = { .tv_nsec = 500000000 };
		sigset_t none;
		pid_t pid;
		int how;

		sigemptyset(&none);
		if (ppoll(fds, 4, &wait, &none) > 0) {
			if (fds[0].revents)
				receive();
			if (fds[1].revents)
				pass_on(&command.out, FRAME_OUT);
			if (fds[2].revents)
				pass_on(&command.err, FRAME_ERR);
		}
		feed();
		if (now_ms() - alive >= FRAME_ALIVE_MS) {
			alive = now_ms();
			send_or_end(FRAME_ALIVE, NULL, 0);
		}
		while ((pid = waitpid(-1, &how, WNOHANG)) > 0) {
			if (pid != command.pid)
				continue;
			status = WIFEXITED(how) ? WEXITSTATUS(how) :
						  128 + WTERMSIG(how);
		}
	}
	/* What it left behind in the pipes belongs to its output. */
	while (pass_on(&command.out, FRAME_OUT) + pass_on(&command.err, FRAME_ERR))
		;
	return status;
}

static void on_child(int signal)
{
	(void)signal;
}

int main(void)
{
	struct sigaction child = { .sa_handler = on_child };
	char *modules, *module, *hostname, *address, *archive, **argv, **env;
	uint32_t status;
	sigset_t set;

	if (getpid() != 1) {
		fprintf(stderr, "init: this is the first process of a machine\n");
		return 1;
	}
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	make_root();
	mount_file_systems();
	open_port();
	archive = getenv("machine");
	if (archive)
		unpack_wishes(archive);
	else
		mount_or_fail("machine", MACHINE, "9p", MS_RDONLY, P9_OPTIONS "cache=loose");
	if (!access(MACHINE "/modules", F_OK))
		mount_or_fail(MACHINE "/modules", "/lib/modules", NULL, MS_BIND, NULL);
	if (!access(MACHINE "/host", F_OK)) {
		if (mkdir(HOST, 0755))
			fail("making %s: %s", HOST, strerror(errno));
		mount_or_fail("host", HOST, "9p", MS_RDONLY, P9_OPTIONS "cache=loose");
		if (!access(HOST "/modules", F_OK))
			mount_or_fail(HOST "/modules", "/lib/modules", NULL, MS_BIND, NULL);
	}
	if (!access(MACHINE "/share", F_OK))
		mount_or_fail("share", "/mnt", "9p", 0, P9_OPTIONS "cache=mmap");
	hostname = read_file(MACHINE "/hostname", NULL);
	if (!hostname)
		hostname = "vfio-ap";
	sethostname(hostname, strcspn(hostname, "\n"));
	start_loopback();
	address = read_file(MACHINE "/address", NULL);
	if (address)
		start_network(address);

	env = read_vector(MACHINE "/env");
	environ = env;
	modules = read_file(MACHINE "/load", NULL);
	while (modules && (module = strsep(&modules, "\n")))
		if (*module)
			load_module(module);

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGCHLD, &child, NULL);
	send_or_end(FRAME_HELLO, NULL, 0);
	argv = read_vector(MACHINE "/argv");
	if (chdir(access(MACHINE "/share", F_OK) ? "/root" : "/mnt"))
		fail("changing directory: %s", strerror(errno));
	signal(SIGPIPE, SIG_DFL);
	if (access(MACHINE "/terminal", F_OK))
		start_on_pipes(argv);
	else
		start_on_terminal(argv);
	signal(SIGPIPE, SIG_IGN);
	if (command.pid < 0)
		fail("fork: %s", strerror(errno));
	status = htonl(relay());
	sync();
	send_or_end(FRAME_EXIT, &status, sizeof(status));
	sleep(10);
	power_off();
}
