// SPDX-License-Identifier: GPL-2.0
/*
 * selftests/user/parse.c - sizes, numbers, names and hex
 */
#include <errno.h>
#include <string.h>
#include "hk.h"
#include "tap.h"

static const struct {
	const char *text;
	int ret;
	uint64_t bytes;
} sizes[] = {
	{ "0", 0, 0 },
	{ "4096", 0, 4096 },
	{ "704M", 0, 704ULL << 20 },
	{ "704m", 0, 704ULL << 20 },
	{ "1G", 0, 1ULL << 30 },
	{ "1GiB", 0, 1ULL << 30 },
	{ "3T", 0, 3ULL << 40 },
	{ "16K", 0, 16384 },
	{ "18446744073709551615", 0, UINT64_MAX },
	{ "16777215T", 0, 16777215ULL << 40 },
	{ "16777216T", -ERANGE, 0 },
	{ "18446744073709551616", -ERANGE, 0 },
	{ "", -EINVAL, 0 },
	{ "M", -EINVAL, 0 },
	{ "-1", -EINVAL, 0 },
	{ "+1", -EINVAL, 0 },
	{ " 1", -EINVAL, 0 },
	{ "1.5G", -EINVAL, 0 },
	{ "1GB", -EINVAL, 0 },
	{ "1G ", -EINVAL, 0 },
	{ "1KM", -EINVAL, 0 },
	{ "0x10", -EINVAL, 0 },
};

static const struct {
	const char *text;
	uint64_t min, max;
	int ret;
	uint64_t val;
} numbers[] = {
	{ "1", 1, 63, 0, 1 },
	{ "63", 1, 63, 0, 63 },
	{ "64", 1, 63, -ERANGE, 0 },
	{ "0", 1, 63, -ERANGE, 0 },
	{ "0x10", 0, 100, 0, 16 },
	{ "010", 0, 100, 0, 10 },
	{ "0x", 0, 100, -EINVAL, 0 },
	{ "1x", 0, 100, -EINVAL, 0 },
	{ "", 0, 100, -EINVAL, 0 },
	{ "-1", 0, UINT64_MAX, -EINVAL, 0 },
	{ "18446744073709551616", 0, UINT64_MAX, -ERANGE, 0 },
};

static const struct {
	const char *name;
	bool good;
} names[] = {
	{ "a", true }, { "node-1", true }, { "h1", true }, { "1h", true },
	{ "A_b.c", true }, { "1234567890123456789012345678901", false },
	{ "abcdefghijklmnopqrstuvwxyz01234", true },
	{ "abcdefghijklmnopqrstuvwxyz012345", false },
	{ "", false }, { "12", false }, { "-a", false }, { ".a", false },
	{ "a b", false }, { "a/b", false }, { "a\nb", false },
	{ "caf\xc3\xa9", false },
};

int main(void)
{
	uint8_t raw[4] = { 0x00, 0x7f, 0x80, 0xff }, back[4];
	char hex[9], human[32];
	uint64_t val;
	unsigned int i;
	int r;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		val = 0;
		r = hk_parse_size(sizes[i].text, &val);
		ok(r == sizes[i].ret && (r || val == sizes[i].bytes),
		   "size \"%s\"", sizes[i].text);
	}
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		val = 0;
		r = hk_parse_u64(numbers[i].text, numbers[i].min,
				 numbers[i].max, &val);
		ok(r == numbers[i].ret && (r || val == numbers[i].val),
		   "number \"%s\"", numbers[i].text);
	}
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ok(hk_name_ok(names[i].name) == names[i].good, "name %u", i);
	ok(!hk_name_ok(NULL), "no name");

	hk_hex(hex, raw, sizeof(raw));
	ok(!strcmp(hex, "007f80ff"), "to hex");
	ok(!hk_unhex(back, 4, hex) && !memcmp(raw, back, 4), "from hex");
	ok(hk_unhex(back, 4, "007f80f") < 0, "hex too short");
	ok(hk_unhex(back, 4, "007f80fff") < 0, "hex too long");
	ok(hk_unhex(back, 4, "007F80ff") < 0, "one encoding only: capitals");
	ok(hk_unhex(back, 4, "007f80fg") < 0, "not hex");
	ok(hk_unhex(back, 4, NULL) < 0, "no hex");
	ok(!strcmp(hk_human_size(704ULL << 20, human, sizeof(human)),
		   "704 MiB"), "human size");
	ok(!strcmp(hk_human_size(1536, human, sizeof(human)), "1.5 KiB"),
	   "human size with a fraction");
	return tap_end();
}
