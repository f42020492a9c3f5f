// SPDX-License-Identifier: GPL-2.0
/*
 * insns - a QEMU plugin that counts the instructions of an emulated host in a file
 *
 *	-plugin file=insns.so,out=FILE
 *
 * FILE gets two 64-bit words, which go on while the host runs: instructions, and
 * repetitions of string instructions. The emulator makes a loop of these, of which each
 * round but the first begins a block; a CPU counts the whole as one.
 *
 * Blocks are counted when they are entered: one that is left early by a fault counts in
 * full. The words are added to without a lock, so the host must have one CPU.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "insns.h"

int qemu_plugin_version = 1;

static uint64_t *words;

/* Prefixes, one of them a repetition, then a string instruction */
static bool repeated(const struct qemu_plugin_insn *insn)
{
	const uint8_t *p = qemu_plugin_insn_data(insn);
	size_t n = qemu_plugin_insn_size(insn), i;
	bool rep = false;

	for (i = 0; i < n; i++) {
		rep |= p[i] == 0xf2 || p[i] == 0xf3;
		/* operand and address size, REX */
		if (p[i] == 0xf2 || p[i] == 0xf3 || p[i] == 0x66 || p[i] == 0x67 ||
		    (p[i] & 0xf0) == 0x40)
			continue;
		return rep && ((p[i] >= 0xa4 && p[i] <= 0xa7) ||
			       (p[i] >= 0xaa && p[i] <= 0xaf) ||
			       (p[i] >= 0x6c && p[i] <= 0x6f));
	}
	return false;
}

static void on_block(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	if (n == 1 && repeated(qemu_plugin_tb_get_insn(tb, 0)))
		qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &words[1], 1);
	else
		qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &words[0], n);
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	int fd;

	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fprintf(stderr, "insns: usage: -plugin file=insns.so,out=FILE\n");
		return -1;
	}
	fd = open(argv[0] + 4, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 4096)) {
		perror(argv[0] + 4);
		return -1;
	}
	words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (words == MAP_FAILED) {
		perror("insns: mmap");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
	return 0;
}
