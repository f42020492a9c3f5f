// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/child.c - processes of the daemon's own
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "vm.h"

static void run_child(const struct spawn *spawn, int status_fd, pid_t parent)
{
	sigset_t none;
	int e, null;

	/* A guest without its daemon has nobody to end it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* Own group: a ^C for the daemon is not one for the guest. */
	setpgid(0, 0);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	if (spawn->out_fd >= 0) {
		dup2(spawn->out_fd, STDOUT_FILENO);
		dup2(spawn->out_fd, STDERR_FILENO);
	}
	if (spawn->keep_fd > STDERR_FILENO)
		fcntl(spawn->keep_fd, F_SETFD, 0);
	execvp(spawn->argv[0], spawn->argv);
	e = errno;
	if (write(status_fd, &e, sizeof(e)) < 0)
		_exit(126);
	_exit(127);
}

pid_t child_spawn(const struct spawn *spawn, int *pidfd, char *err)
{
	pid_t pid, parent = getpid();
	int fd[2], e = 0;
	ssize_t n;

	if (pipe2(fd, O_CLOEXEC))
		return fail(err, "pipe: %s", strerror(errno));
	pid = fork();
	if (!pid)
		run_child(spawn, fd[1], parent);
	close(fd[1]);
	if (pid < 0) {
		close(fd[0]);
		return fail(err, "fork: %s", strerror(errno));
	}
	/* Closed by a successful exec. */
	do {
		n = read(fd[0], &e, sizeof(e));
	} while (n < 0 && errno == EINTR);
	close(fd[0]);
	if (n == (ssize_t)sizeof(e)) {
		waitpid(pid, NULL, 0);
		return fail(err, "cannot run %s: %s", spawn->argv[0],
			    strerror(e));
	}
	*pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (*pidfd < 0) {
		e = errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return fail(err, "pidfd_open: %s", strerror(e));
	}
	fcntl(*pidfd, F_SETFD, FD_CLOEXEC);
	return pid;
}

void child_describe(int status, char *buf, size_t len)
{
	if (WIFSIGNALED(status))
		snprintf(buf, len, "was killed by signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(buf, len, "exited with status %d",
			 WEXITSTATUS(status));
}
