// Go unblocks SIGINT, SIGTERM and some more in each thread that the runtime makes, whatever the process's mask was. While
// Python's main thread blocks such a signal, a thread of Go's would take it: sigwait would miss it, and the process would
// die. So before Python code changes a mask, each thread of Go's is asked to block the program's signals too: the thread
// changes its mask by returning from a signal's handler.
#define _GNU_SOURCE
#include <signal.h>
#ifdef __linux__
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

extern int gilt_python3_stands_in;

static const int unblocked[] = {SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGTERM, SIGCHLD, SIGSTKFLT};
enum { N = sizeof unblocked / sizeof *unblocked };

// Blocked in Go's threads by the constructor, and in no other thread.
#define MARK (SIGRTMAX - 5)
#define ASK (SIGRTMAX - 3) // blocked in no thread of Go's

static void block(int sig, siginfo_t *info, void *context) {
	ucontext_t *c = context;
	if (sigismember(&c->uc_sigmask, MARK) != 1) return;
	for (int i = 0; i < N; i++) sigaddset(&c->uc_sigmask, unblocked[i]);
}

static int blocks(unsigned long long mask, int sig) { return mask >> (sig - 1) & 1; }

// Whether the thread is Go's and takes one of the signals.
static int takes(const char *tid) {
	char path[64], line[256];
	unsigned long long mask = 0;
	snprintf(path, sizeof path, "/proc/self/task/%.20s/status", tid);
	FILE *f = fopen(path, "re");
	if (!f) return 0; // the thread has ended
	while (fgets(line, sizeof line, f) && sscanf(line, "SigBlk: %llx", &mask) != 1) {}
	fclose(f);
	if (!blocks(mask, MARK) || blocks(mask, ASK)) return 0;
	for (int i = 0; i < N; i++)
		if (!blocks(mask, unblocked[i])) return 1;
	return 0;
}

static int ask_all(void) {
	int asked = 0;
	DIR *all = opendir("/proc/self/task");
	if (!all) return 0;
	for (struct dirent *d; (d = readdir(all));)
		if (d->d_name[0] != '.' && takes(d->d_name)) asked += !syscall(SYS_tgkill, getpid(), atoi(d->d_name), ASK);
	closedir(all);
	return asked;
}

// Called by internal/cpython, with the GIL, before Python's pthread_sigmask.
void gilt_python3_block(void) {
	enum { ROUNDS = 1000, PAUSE = 100 }; // µs: 0.1 s at most
	if (!gilt_python3_stands_in) return;
	struct sigaction ours = {.sa_sigaction = block, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
	sigaction(ASK, &ours, NULL);
	for (int i = 0; i < ROUNDS && ask_all(); i++) usleep(PAUSE);
}
#else
void gilt_python3_block(void) {}
#endif
