/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The frames that the emulated host's init and the relay on the caller's side
 * exchange over one virtio serial port.
 *
 * A frame is a header and a payload. Payloads are small enough for header and
 * payload to pass through the port in one piece.
 */
#ifndef MACHINE_FRAME_H
#define MACHINE_FRAME_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define FRAME_PORT	"org.vfio-ap.relay"

/* The port's driver takes at most 32 KiB at a time. */
#define FRAME_PAYLOAD	(32 * 1024 - sizeof(struct frame))

/* So much standard input may be on its way without having been taken. */
#define FRAME_WINDOW	(2 * FRAME_PAYLOAD)

enum frame_type {
	/* from the emulated host */
	FRAME_HELLO	= 'H',	/* init is up, the command starts */
	FRAME_ALIVE	= 'B',	/* sent every FRAME_ALIVE_MS */
	FRAME_OUT	= 'O',	/* standard output, or the terminal's */
	FRAME_ERR	= 'E',	/* standard error */
	FRAME_TAKEN	= 'A',	/* 32 bits: so much standard input was taken */
	FRAME_EXIT	= 'X',	/* 32 bits: exit status; the last frame */
	FRAME_FAILED	= 'F',	/* text: the machine failed; the last frame */
	/* to the emulated host */
	FRAME_IN	= 'I',	/* standard input; empty: its end */
	FRAME_WINSIZE	= 'W',	/* 2 x 16 bits: rows, columns */
};

#define FRAME_ALIVE_MS	1000

struct frame {
	uint32_t type;
	uint32_t length;
};

/* Writes all of it; returns 0, or -1 with errno set. */
static inline int write_all(int fd, const void *buffer, size_t length)
{
	const char *from = buffer;

	while (length) {
		ssize_t n = write(fd, from, length);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		from += n;
		length -= n;
	}
	return 0;
}

/* Reads all of it; returns 0, or -1 on an error or at an early end. */
static inline int read_all(int fd, void *buffer, size_t length)
{
	char *to = buffer;

	while (length) {
		ssize_t n = read(fd, to, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		to += n;
		length -= n;
	}
	return 0;
}

/* Sends a frame; @length is at most FRAME_PAYLOAD. */
static inline int frame_send(int fd, enum frame_type type, const void *payload,
			     size_t length)
{
	static char buffer[32 * 1024];
	struct frame frame = {
		.type = htonl(type),
		.length = htonl(length),
	};

	memcpy(buffer, &frame, sizeof(frame));
	if (length)
		memcpy(buffer + sizeof(frame), payload, length);
	return write_all(fd, buffer, sizeof(frame) + length);
}

/* Receives a frame into @payload, which holds FRAME_PAYLOAD bytes. */
static inline int frame_receive(int fd, struct frame *frame, void *payload)
{
	if (read_all(fd, frame, sizeof(*frame)))
		return -1;
	frame->type = ntohl(frame->type);
	frame->length = ntohl(frame->length);
	if (frame->length > FRAME_PAYLOAD) {
		errno = EPROTO;
		return -1;
	}
	return read_all(fd, payload, frame->length);
}

#endif
