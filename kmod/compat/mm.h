/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What linux/mm.h of the newest supported kernel has and older ones have not
 */
#ifndef HK_KMOD_COMPAT_MM_H
#define HK_KMOD_COMPAT_MM_H

#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
/* no shared mapping is faulted under the VMA lock before 6.6 */
static inline void release_fault_lock(struct vm_fault *vmf)
{
	mmap_read_unlock(vmf->vma->vm_mm);
}
#endif

/* Page tables that map a page of ours, which is never part of a larger folio */
static inline int hk_page_mapcount(struct page *page)
{
	return atomic_read(&page->_mapcount) + 1;
}

#endif /* HK_KMOD_COMPAT_MM_H */
