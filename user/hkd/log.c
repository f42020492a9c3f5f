// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/log.c - what the daemon tells its log, and texts of failures
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "log.h"

static int log_fd = STDERR_FILENO;

int log_open(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

	if (fd < 0)
		return -errno;
	log_fd = fd;
	return 0;
}

bool log_has_file(void)
{
	return log_fd != STDERR_FILENO;
}

static void put(const char *level, const char *fmt, va_list ap)
{
	char line[2048];
	struct timespec ts;
	struct tm tm;
	size_t n, i;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03ldZ hkd: %s",
			      ts.tv_nsec / 1000000, level);
	i = n;
	n += (size_t)vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	if (n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	/* Peers choose some of the words: keep them on one line. */
	for (; i < n; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	if (write(log_fd, line, n) < 0)
		return;
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put("", fmt, ap);
	va_end(ap);
}

void log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put("error: ", fmt, ap);
	va_end(ap);
}

int fail(char *err, const char *fmt, ...)
{
	char text[HK_ERR_LEN];
	va_list ap;

	/* The old text may be one of the arguments. */
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(err, text, sizeof(text));
	return -1;
}
