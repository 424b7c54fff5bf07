// What must happen before Go's runtime starts, for a process that stands in for python3. A signal of the program may be
// taken by any thread that has not blocked that signal. Go gives each thread that the runtime makes the mask that the
// process had when the runtime started. So a constructor, which the C library runs earlier, blocks the program's signals;
// the first thread, which becomes Python's main thread, takes the process's own mask back later.
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static sigset_t before; // the mask that the process was started with
int gilt_python3_stands_in;
static struct rlimit files; // Go raises the soft limit

// Signals of faults come to the thread that made the fault, and Go's runtime sends SIGURG to its own threads.
static const int goes_on[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGURG, SIGPROF};

static int is_run(int argc, char **argv) {
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--python")) i++; // and its value
		else if (strncmp(argv[i], "--python=", 9)) return !strcmp(argv[i], "run");
	}
	return 0;
}

__attribute__((constructor)) static void begin(int argc, char **argv) {
	getrlimit(RLIMIT_NOFILE, &files);
	if (!is_run(argc, argv)) return;
	sigset_t set;
	sigfillset(&set);
	for (size_t i = 0; i < sizeof goes_on / sizeof *goes_on; i++) sigdelset(&set, goes_on[i]);
#ifdef SIGRTMAX
	sigdelset(&set, SIGRTMAX - 3); // see threads.c
#endif
	gilt_python3_stands_in = !pthread_sigmask(SIG_BLOCK, &set, &before);
}

void gilt_python3_begin(void) {
	if (!gilt_python3_stands_in) return;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	setrlimit(RLIMIT_NOFILE, &files);
}

void gilt_python3_die(int sig) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, sig);
	signal(sig, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(sig);
}
