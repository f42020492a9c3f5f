/* SPDX-License-Identifier: GPL-2.0 */
/*
 * selftests/user/tap.h - Test Anything Protocol
 */
#ifndef TAP_H
#define TAP_H

#include <stdio.h>

static unsigned int tap_nr, tap_bad;

#define ok(cond, ...) do {						\
	int ok_ = !!(cond);						\
									\
	printf("%sok %u - ", ok_ ? "" : "not ", ++tap_nr);		\
	printf(__VA_ARGS__);						\
	putchar('\n');							\
	if (!ok_) {							\
		tap_bad++;						\
		printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond);	\
	}								\
} while (0)

static inline int tap_end(void)
{
	printf("1..%u\n", tap_nr);
	return tap_bad ? 1 : 0;
}

#endif /* TAP_H */
