// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of the page protocol: one run, one plan
 */
#include "tap.h"

unsigned int tap_nr, tap_failed;

int main(void)
{
	test_page();
	test_tokens();
	test_directory();
	test_recover();
	test_wire();
	test_group();
	test_stale();
	return tap_done();
}
