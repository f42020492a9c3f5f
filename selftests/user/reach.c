// SPDX-License-Identifier: GPL-2.0
/*
 * selftests/user/reach.c - connect as hkd does: reach ADDRESS; for reach.sh
 */
#include <stdio.h>
#include "../../user/hkd/log.h"
#include "../../user/hkd/stream.h"
#include "../../user/hkd/task.h"

static const char *address;
static int status;

static void reach(void *arg)
{
	char err[HK_ERR_LEN] = "";
	struct stream *s = stream_connect(address, now_ms() + 20000, err);

	(void)arg;
	puts(s ? "reached" : err);
	status = !s;
	if (s)
		stream_free(s);
	loop_stop();
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	address = argv[1];
	loop_init();
	task_spawn(reach, NULL);
	loop_run();
	return status;
}
