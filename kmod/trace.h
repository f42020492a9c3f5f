/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of the module, events/hyperkernel/ in tracefs
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hyperkernel

#if !defined(HK_KMOD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define HK_KMOD_TRACE_H

#include <linux/tracepoint.h>

/*
 * A fault of guest RAM, whoever's access it is, before anything is known about
 * the page here. Once for each access, not for each time that it is retried.
 * selftests/sim reads it: Documentation/simulator.rst.
 */
TRACE_EVENT(hk_fault,
	    TP_PROTO(u16 node, u32 vm, u64 gfn, bool write),
	    TP_ARGS(node, vm, gfn, write),
	    TP_STRUCT__entry(__field(u64, gfn)
			     __field(u32, vm)
			     __field(u16, node)
			     __field(bool, write)),
	    TP_fast_assign(__entry->gfn = gfn;
			   __entry->vm = vm;
			   __entry->node = node;
			   __entry->write = write;),
	    TP_printk("node=%u vm=%u gfn=%llx %c", __entry->node, __entry->vm,
		      __entry->gfn, __entry->write ? 'W' : 'R')
);

#endif /* HK_KMOD_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
