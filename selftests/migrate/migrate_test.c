// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of what is pure about handing vCPUs from node to node
 */
#include "test.h"

unsigned int tap_nr, tap_failed;

int main(void)
{
	test_pending();
	test_residency();
	test_msg();
	return tap_done();
}
