/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Struct fd, over kernel versions
 */
#ifndef HK_COMPAT_FILE_H
#define HK_COMPAT_FILE_H

#include <linux/file.h>

/* 6.12 hides the pointer behind fd_file() */
#ifdef fd_file
#define hk_fd_file(f)	fd_file(f)
#else
#define hk_fd_file(f)	((f).file)
#endif

#endif /* HK_COMPAT_FILE_H */
