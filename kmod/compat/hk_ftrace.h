/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Registers in an ftrace callback, over kernel versions
 */
#ifndef HK_COMPAT_FTRACE_H
#define HK_COMPAT_FTRACE_H

#include <linux/ftrace.h>

#ifdef ftrace_regs_get_argument
#define hk_fregs_arg0(fregs)	ftrace_regs_get_argument(fregs, 0)
#else
#define hk_fregs_arg0(fregs)	((fregs)->regs.di)
#endif

#ifdef ftrace_regs_set_instruction_pointer
#define hk_fregs_set_ip(fregs, ip)	ftrace_regs_set_instruction_pointer(fregs, ip)
#else
#define hk_fregs_set_ip(fregs, ip)	ftrace_instruction_pointer_set(fregs, ip)
#endif

#endif /* HK_COMPAT_FTRACE_H */
