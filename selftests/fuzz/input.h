/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The bytes of one run, taken from the front
 */
#ifndef HK_FUZZ_INPUT_H
#define HK_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at;
	size_t left;
};

/* Zero when there is nothing left: callers stop at @left */
static inline uint8_t input_u8(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

static inline uint16_t input_u16(struct input *in)
{
	uint16_t low = input_u8(in);

	return low | input_u8(in) << 8;
}

/* Return: bytes copied */
static inline size_t input_bytes(struct input *in, void *to, size_t len)
{
	if (len > in->left)
		len = in->left;
	if (len)
		memcpy(to, in->at, len);
	in->at += len;
	in->left -= len;
	return len;
}

/* What must hold; not an assert(), which NDEBUG takes away */
#define must(_cond, _what)						\
	do {								\
		if (!(_cond)) {						\
			fprintf(stderr, "%s:%d: %s\n", __FILE__,	\
				__LINE__, (_what));			\
			abort();					\
		}							\
	} while (0)

#endif /* HK_FUZZ_INPUT_H */
