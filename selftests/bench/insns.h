/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What insns.c uses of version 1 of QEMU's interface for plugins, for which there is no
 * package; QEMU has it in include/qemu/qemu-plugin.h
 */
#ifndef INSNS_H
#define INSNS_H

#include <stddef.h>
#include <stdint.h>

#define INLINE_ADD_U64	0

struct qemu_plugin_tb;
struct qemu_plugin_insn;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr,
					      uint64_t imm);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

#endif /* INSNS_H */
