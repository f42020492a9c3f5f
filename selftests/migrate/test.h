/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of the test
 */
#ifndef HK_MIGRATE_TEST_H
#define HK_MIGRATE_TEST_H

#include <stdbool.h>
#include <string.h>

#include "../dsm/tap.h"

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(_a) (sizeof(_a) / sizeof((_a)[0]))
#endif

void test_pending(void);
void test_residency(void);
void test_msg(void);

#endif /* HK_MIGRATE_TEST_H */
