/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/hkd/log.h - what the daemon tells its log, and texts of failures
 */
#ifndef HKD_LOG_H
#define HKD_LOG_H

#include "../lib/hk.h"

/* NULL: stderr */
int log_open(const char *path);
/* true when the log is not standard error */
bool log_has_file(void);
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Failures travel upwards as text in a buffer of HK_ERR_LEN bytes. Returns -1.
 */
int fail(char *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif /* HKD_LOG_H */
