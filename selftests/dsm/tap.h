/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The little of TAP that tests of pure code need
 */
#ifndef HK_TEST_TAP_H
#define HK_TEST_TAP_H

#include <stdarg.h>
#include <stdio.h>

extern unsigned int tap_nr, tap_failed;

/* The parts of the test */
void test_page(void);
void test_tokens(void);
void test_directory(void);
void test_recover(void);
void test_wire(void);
void test_group(void);
void test_stale(void);

static inline void tap_diag(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("# ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
}

static inline void tap_ok(int ok, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("%sok %u - ", ok ? "" : "not ", ++tap_nr);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	if (!ok)
		tap_failed++;
}

/* The plan may stand at the end */
static inline int tap_done(void)
{
	printf("1..%u\n", tap_nr);
	if (tap_failed)
		tap_diag("%u of %u failed", tap_failed, tap_nr);
	return tap_failed != 0;
}

#endif /* HK_TEST_TAP_H */
